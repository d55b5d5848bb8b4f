// Functions posted by other threads, on their way to the thread that runs them.
#pragma once

#include <array>
#include <cstddef>
#include <mutex>
#include <utility>

#include "core/task_queue.hpp"
#include "event/events.hpp"

namespace event::detail {

// Posters append under a short lock; the loop swaps whole batches out and runs them without it.
// After the first few rounds the same blocks go back and forth and nothing is allocated.
//
// Thread-safety: push() from any thread; everything else from the loop's thread.
class PostQueue {
 public:
  static constexpr std::size_t kPriorities = 3;

  // Appends, and calls wake() with the lock held if the queue was empty before: whoever destroys
  // the queue after its last function ran waits for the lock, so for the end of wake().
  // Errors: throws std::bad_alloc, and nothing is appended.
  template <class Wake>
  void push(Task&& task, Priority priority, Wake&& wake) {
    const std::lock_guard lock(mutex_);
    incoming_[static_cast<std::size_t>(priority)].push(std::move(task));
    if (waiting_++ == 0) wake();
  }

  // Makes what was posted ready to run. `reserve(priority, count)` is called before anything
  // changes and may throw; `queued(priority, count)` after. The order of each priority is kept.
  template <class Reserve, class Queued>
  void take(Reserve&& reserve, Queued&& queued) {
    const std::lock_guard lock(mutex_);
    for (std::size_t p = 0; p < kPriorities; ++p) {
      const std::size_t count = incoming_[p].size();
      if (count == 0) continue;
      reserve(static_cast<Priority>(p), count);
      ready_[p].append(incoming_[p]);
      queued(static_cast<Priority>(p), count);
      waiting_ -= count;
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
  std::mutex mutex_;
  std::array<TaskQueue, kPriorities> incoming_;  // guarded by mutex_
  std::size_t waiting_ = 0;                      // guarded by mutex_
  std::array<TaskQueue, kPriorities> ready_;     // the loop's alone
  bool abandoned_ = false;
};

}  // namespace event::detail
