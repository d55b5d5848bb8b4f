// Functions to run, first in, first out.
#pragma once

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <memory>
#include <new>
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

// In a chain of blocks. The last block is used again from its front when everything has run, so a
// queue that always holds about as much allocates nothing. A function stays where it was put until
// it has run, whatever is pushed meanwhile, even if its own move constructor pushes.
//
// Each push is completed by a single store. A fork may copy a queue in the middle of a push by
// another thread; recover() then keeps everything that was pushed before.
class TaskQueue {
 public:
  TaskQueue() = default;
  ~TaskQueue() {
    while (!empty()) drop_first();
    ::operator delete(head_);
    free_spares();
  }
  TaskQueue(const TaskQueue&) = delete;
  TaskQueue& operator=(const TaskQueue&) = delete;

  bool empty() const noexcept { return head_ == nullptr || first_ == head_->end; }
  // Cost: O(number of blocks).
  std::size_t size() const noexcept;

  // Errors: throws std::bad_alloc, and nothing changes.
  void push(Task&& task) {
    if (tail_ == nullptr || tail_->end == tail_->limit) [[unlikely]]
      add_block();
    Task* const slot = tail_->end;
    if (task.moves_as_bytes()) [[likely]] {
      std::construct_at(slot, std::move(task));
      complete(slot);
    } else {
      // The move constructor is the user's and may push: the slot is taken first.
      std::construct_at(slot);
      complete(slot);
      slot->take_over(task);
    }
    fetch_to_write(slot + 9);
  }

  // Moves all of another queue's functions to the end of this one.
  // Requires: none of `other` has run; nothing is pushed to either meanwhile.
  void append(TaskQueue& other) noexcept;

  // Runs the first one and destroys it, also if it throws. It may not push here.
  // Requires: !empty().
  void run_first() {
    const Leaving leaving{*this};
    (*first_)();
  }

  void swap(TaskQueue& other) noexcept {
    std::swap(head_, other.head_);
    std::swap(tail_, other.tail_);
    std::swap(first_, other.first_);
  }

  // Frees what is not in use, but for room for `most` functions.
  void shrink(std::size_t most) noexcept;

  // In the child of a fork, during which another thread may have pushed.
  void recover() noexcept;

 private:
  struct Block {
    Block* next;
    Task* end;    // of its functions
    Task* limit;  // of its room
  };

  static constexpr std::size_t kSmallest = 8;

  struct Leaving {
    TaskQueue& queue;
    ~Leaving() { queue.drop_first(); }
  };

  void drop_first() noexcept {
    std::destroy_at(first_++);
    if (first_ == head_->end) end_block();
  }

  static Task* begin_of(Block* block) noexcept { return reinterpret_cast<Task*>(block + 1); }
  static std::size_t room_of(Block* block) noexcept {
    return static_cast<std::size_t>(block->limit - begin_of(block));
  }

  // Stored last, after everything that it makes visible.
  void complete(Task* slot) noexcept {
    std::atomic_signal_fence(std::memory_order_release);
    tail_->end = slot + 1;
  }

  void free_spares() noexcept {
    while (spare_ != nullptr) ::operator delete(std::exchange(spare_, spare_->next));
  }
  void add_block();
  void end_block() noexcept;

  Block* head_ = nullptr;
  Block* tail_ = nullptr;
  Task* first_ = nullptr;   // in the first block
  Block* spare_ = nullptr;  // a list of those that have run, for queues that give theirs away
};

static_assert(alignof(Task) <= alignof(void*), "blocks place them behind pointers");

inline std::size_t TaskQueue::size() const noexcept {
  std::ptrdiff_t count = 0;
  for (Block* block = head_; block != nullptr; block = block->next) {
    count += block->end - (block == head_ ? first_ : begin_of(block));
  }
  return static_cast<std::size_t>(count);
}

inline void TaskQueue::append(TaskQueue& other) noexcept {
  if (empty()) return swap(other);
  if (other.empty()) return;
  assert(other.first_ == begin_of(other.head_));
  if (other.head_->next == nullptr &&
      tail_->limit - tail_->end >= other.head_->end - other.first_) {
    for (; !other.empty(); other.drop_first()) push(std::move(*other.first_));
    return;
  }
  tail_->next = other.head_;
  tail_ = other.tail_;
  other.head_ = other.tail_ = spare_;
  if (spare_ == nullptr) return;
  spare_ = std::exchange(spare_->next, nullptr);
  other.first_ = begin_of(other.head_);
}

// Twice as large as what waits: the next time all of it fits into this one.
inline void TaskQueue::add_block() {
  const std::size_t room = std::max(kSmallest, 2 * size());
  auto* const block = static_cast<Block*>(::operator new(sizeof(Block) + room * sizeof(Task)));
  std::construct_at(block, Block{nullptr, begin_of(block), begin_of(block) + room});
  std::atomic_signal_fence(std::memory_order_release);
  if (head_ == nullptr) {
    first_ = begin_of(block);
    std::atomic_signal_fence(std::memory_order_release);
    head_ = block;
  } else {
    tail_->next = block;
  }
  std::atomic_signal_fence(std::memory_order_release);
  tail_ = block;
}

// The first block has run.
inline void TaskQueue::end_block() noexcept {
  head_->end = begin_of(head_);
  if (Block* const next = std::exchange(head_->next, nullptr); next != nullptr) {
    head_->next = std::exchange(spare_, head_);
    head_ = next;
  }
  first_ = begin_of(head_);
}

inline void TaskQueue::shrink(std::size_t most) noexcept {
  free_spares();
  if (head_ != nullptr && empty() && room_of(head_) > most) {
    ::operator delete(std::exchange(head_, nullptr));
    tail_ = nullptr;
  }
}

inline void TaskQueue::recover() noexcept {
  if (head_ == nullptr) return;
  tail_ = head_;
  while (tail_->next != nullptr) tail_ = tail_->next;
}

}  // namespace event_cpp::detail
