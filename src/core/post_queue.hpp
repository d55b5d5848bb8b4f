// Functions posted by other threads, on their way to the thread that runs them.
#pragma once

#include <array>
#include <cstddef>
#include <mutex>
#include <utility>

#include "core/short_lock.hpp"
#include "core/task_queue.hpp"
#include "event/events.hpp"

namespace event_cpp::detail {

// Posters append under a short lock; the loop swaps whole batches out and runs them without it.
// After the first few rounds the same blocks go back and forth and nothing is allocated.
//
// Thread-safety: push() from any thread; everything else from the loop's thread.
class PostQueue {
 public:
  static constexpr std::size_t kPriorities = 3;

  // Appends, and calls wake(level) with the lock held if none of that priority was there before:
  // whoever destroys the queue after its last function ran waits for the lock, so for the end of
  // wake(). Errors: throws std::bad_alloc, and nothing is appended.
  template <class Wake>
  void push(Task&& task, Priority priority, Wake&& wake) {
    const auto level = static_cast<std::size_t>(priority);
    TaskQueue& incoming = incoming_[level];
    const ShortLock lock(mutex_);
    const bool is_first = incoming.empty();
    incoming.push(std::move(task));
    if (is_first) wake(level);
  }

  // Makes what was posted ready to run. `reserve(priority)` is called before anything changes and
  // may throw; `queued(priority, count)` after. The order of each priority is kept.
  template <class Reserve, class Queued>
  void take(Reserve&& reserve, Queued&& queued) {
    const ShortLock lock(mutex_);
    for (std::size_t p = 0; p < kPriorities; ++p) {
      const std::size_t count = incoming_[p].size();
      if (count == 0) continue;
      reserve(static_cast<Priority>(p));
      ready_[p].append(incoming_[p]);
      queued(static_cast<Priority>(p), count);
    }
  }

  // Runs the next one of a priority, and destroys it. What it throws comes out of here.
  // Requires: take() said there is one; it does not call take().
  void run(Priority priority) { ready_[static_cast<std::size_t>(priority)].run_first(); }

  // Waits until no push() is under way.
  ~PostQueue() {
    if (abandoned_) return;
    const std::lock_guard lock(mutex_);
  }

  // In the child of a fork: who was in push() does not exist here.
  void abandon() noexcept { abandoned_ = true; }

  PostQueue() = default;
  PostQueue(const PostQueue&) = delete;
  PostQueue& operator=(const PostQueue&) = delete;

 private:
  // What posters write, and what the loop writes for each function, on cache lines of their own.
  static constexpr std::size_t kApart = 64;

  alignas(kApart) std::mutex mutex_;
  std::array<TaskQueue, kPriorities> incoming_;               // guarded by mutex_
  alignas(kApart) std::array<TaskQueue, kPriorities> ready_;  // the loop's alone
  bool abandoned_ = false;
};

}  // namespace event_cpp::detail
