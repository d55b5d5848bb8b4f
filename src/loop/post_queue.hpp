// Functions posted by other threads, on their way to the thread that runs them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include "base/spin_then_lock.hpp"
#include "base/task_queue.hpp"
#include "event/event_mask.hpp"
#include "loop/priorities.hpp"

namespace event_cpp::detail {

// Posters append under a short lock; the loop swaps whole batches out and runs them without it.
// After the first few rounds the same blocks go back and forth and nothing is allocated.
//
// A callable may post when it is moved or destroyed. Only push() moves one with the lock held, and
// a push() of the same thread in there goes on without the lock.
//
// Thread-safety: push() from any thread; everything else from the loop's thread.
class PostQueue {
 public:
  // Appends, and calls wake(level) with the lock held if none of that priority was there before:
  // whoever destroys the queue after its last function ran waits for the lock, so for the end of
  // wake(). Errors: throws std::bad_alloc, and nothing is appended.
  template <class Wake>
  void push(Task&& task, Priority priority, Wake&& wake) {
    const auto level = static_cast<std::size_t>(priority);
    if (mover_.load(std::memory_order_relaxed) == std::this_thread::get_id()) [[unlikely]]
      return append(std::move(task), level, wake);
    const SpinThenLock lock(mutex_);
    if (task.moves_as_bytes()) [[likely]]
      return append(std::move(task), level, wake);
    const Moving moving(mover_);
    append(std::move(task), level, wake);
  }

  // Makes what was posted ready to run. `reserve(priority)` is called before anything changes and
  // may throw; `queued(priority, count)` after. The order of each priority is kept.
  template <class Reserve, class Queued>
  void take(Reserve&& reserve, Queued&& queued) {
    const Appending after_the_lock{*this};  // it moves what users gave
    const SpinThenLock lock(mutex_);
    for (std::size_t p = 0; p < kPriorities; ++p) {
      const std::size_t count = incoming_[p].size();
      if (count == 0) continue;
      reserve(static_cast<Priority>(p));
      incoming_[p].swap(ready_[p].empty() ? ready_[p] : taken_[p]);
      queued(static_cast<Priority>(p), count);
    }
  }

  // Runs the next one of a priority, and destroys it. What it throws comes out of here.
  // Requires: take() said there is one; it does not call take().
  void run(Priority priority) { ready_[static_cast<std::size_t>(priority)].run_first(); }

  // Destroys everything that was posted, and what is posted by destructors meanwhile. Returns
  // whether there was anything. Waits until no push() is under way.
  bool drop_all() noexcept {
    bool any = false;
    for (;;) {
      std::array<TaskQueue, 2 * kPriorities> dropped;
      {
        const SpinThenLock lock(mutex_);
        for (std::size_t p = 0; p < kPriorities; ++p) {
          dropped[2 * p].swap(ready_[p]);
          dropped[2 * p + 1].swap(incoming_[p]);
        }
      }
      bool all_empty = true;
      for (const TaskQueue& queue : dropped) all_empty = all_empty && queue.empty();
      if (all_empty) return any;
      any = true;
    }
  }

  // Gives back the memory of a burst: queues that are empty keep room for `most` functions.
  void shrink(std::size_t most) noexcept {
    const SpinThenLock lock(mutex_);
    for (auto* const queues : {&incoming_, &taken_, &ready_}) {
      for (TaskQueue& queue : *queues) queue.shrink(most);
    }
  }

  // In the child of a fork: whoever was in push() does not exist here. What it had not completed is
  // not there. Calls wake(level) for each priority of which something was posted.
  template <class Wake>
  void after_fork(Wake&& wake) noexcept {
    std::construct_at(&mutex_);  // locked by nobody, whatever the old one was
    mover_.store(std::thread::id(), std::memory_order_relaxed);
    for (std::size_t level = 0; level < kPriorities; ++level) {
      incoming_[level].recover();
      if (!incoming_[level].empty()) wake(level);
    }
  }

  // Waits until no push() is under way.
  ~PostQueue() { const std::lock_guard lock(mutex_); }

  PostQueue() = default;
  PostQueue(const PostQueue&) = delete;
  PostQueue& operator=(const PostQueue&) = delete;

 private:
  // While this thread moves a callable with the lock held.
  class Moving {
   public:
    explicit Moving(std::atomic<std::thread::id>& mover) noexcept : mover_(mover) {
      mover_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    }
    ~Moving() { mover_.store(std::thread::id(), std::memory_order_relaxed); }
    Moving(const Moving&) = delete;
    Moving& operator=(const Moving&) = delete;

   private:
    std::atomic<std::thread::id>& mover_;
  };

  struct Appending {
    PostQueue& queue;
    ~Appending() {
      for (std::size_t p = 0; p < kPriorities; ++p) queue.ready_[p].append(queue.taken_[p]);
    }
  };

  // Requires: this thread holds the lock.
  template <class Wake>
  void append(Task&& task, std::size_t level, Wake& wake) {
    TaskQueue& incoming = incoming_[level];
    const bool is_first = incoming.empty();
    incoming.push(std::move(task));
    if (is_first) wake(level);
  }

  // What posters write, and what the loop writes for each function, on cache lines of their own.
  static constexpr std::size_t kApart = 64;

  alignas(kApart) std::mutex mutex_;
  std::atomic<std::thread::id> mover_{};
  std::array<TaskQueue, kPriorities> incoming_;               // guarded by mutex_
  alignas(kApart) std::array<TaskQueue, kPriorities> ready_;  // the loop's alone
  std::array<TaskQueue, kPriorities> taken_;                  // likewise: on their way to ready_
};

}  // namespace event_cpp::detail
