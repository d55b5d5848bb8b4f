// Functions to run, first in, first out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "event/detail/callable.hpp"

namespace event_cpp::detail {

// Has a cache line come that will be written soon, and that another processor may have.
inline void fetch_to_write(const void* address) noexcept {
#if defined(__x86_64__)
  // The compiler's own takes this instruction, which all such processors have, only if asked to.
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(address)));
#else
  __builtin_prefetch(address, 1);
#endif
}

// In one block of memory, which is used anew from its front whenever all have run. What a vector
// with an index would do, in fewer instructions: each is moved in, run where it is, and gone.
class TaskQueue {
 public:
  TaskQueue() = default;
  ~TaskQueue() {
    std::destroy(first_, end_);
    free_block();
  }
  TaskQueue(const TaskQueue&) = delete;
  TaskQueue& operator=(const TaskQueue&) = delete;

  bool empty() const noexcept { return first_ == end_; }
  std::size_t size() const noexcept { return static_cast<std::size_t>(end_ - first_); }

  // Errors: throws std::bad_alloc, and nothing changes.
  void push(Task&& task) {
    if (end_ == limit_) [[unlikely]]
      make_room(1);
    std::construct_at(end_++, std::move(task));
    fetch_to_write(end_ + 8);
  }

  // Moves all of another one's to the end of this. Errors: throws std::bad_alloc, and nothing
  // changes; not if this is empty.
  void append(TaskQueue& other) {
    if (empty()) return swap(other);
    if (static_cast<std::size_t>(limit_ - end_) < other.size()) make_room(other.size());
    end_ = move_to(end_, other.first_, other.end_);
    other.first_ = other.end_ = other.block_;
  }

  // Runs the first one and destroys it, also if it throws. It may not push here.
  // Requires: !empty().
  void run_first() {
    const Leaving leaving{*this};
    (*first_)();
  }

 private:
  struct Leaving {
    TaskQueue& queue;
    ~Leaving() {
      std::destroy_at(queue.first_++);
      if (queue.empty()) queue.first_ = queue.end_ = queue.block_;
    }
  };

  static Task* move_to(Task* to, Task* first, Task* end) noexcept {
    for (; first != end; ++first) {
      std::construct_at(to++, std::move(*first));
      std::destroy_at(first);
    }
    return to;
  }

  void swap(TaskQueue& other) noexcept {
    std::swap(block_, other.block_);
    std::swap(limit_, other.limit_);
    std::swap(first_, other.first_);
    std::swap(end_, other.end_);
  }

  void make_room(std::size_t more);
  void free_block() noexcept {
    std::allocator<Task>().deallocate(block_, static_cast<std::size_t>(limit_ - block_));
  }

  Task* block_ = nullptr;
  Task* limit_ = nullptr;
  Task* first_ = nullptr;
  Task* end_ = nullptr;
};

// By moving what waits to the front, if at least half of the block is free then, or to a larger
// one.
inline void TaskQueue::make_room(std::size_t more) {
  constexpr std::size_t kSmallest = 8;
  const auto room = static_cast<std::size_t>(limit_ - block_);
  const std::size_t needed = size() + more;
  if (needed <= room / 2) {
    end_ = move_to(block_, first_, end_);
    first_ = block_;
    return;
  }
  const std::size_t larger = std::max({kSmallest, needed, 2 * room});
  Task* const block = std::allocator<Task>().allocate(larger);
  Task* const end = move_to(block, first_, end_);
  free_block();
  block_ = first_ = block;
  end_ = end;
  limit_ = block + larger;
}

}  // namespace event_cpp::detail
