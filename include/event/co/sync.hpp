// Semaphore and Notification: synchronization between tasks of one base.
#pragma once

#include <coroutine>
#include <cstddef>

#include "event/co/detail/wait_list.hpp"

namespace event_cpp::co {

// A counting semaphore: limits how many tasks do something at once, such as requests.
//
// Thread-safety: for the tasks of one base. Lifetime: when it is destroyed, waiting tasks resume
// with std::errc::operation_canceled.
class Semaphore {
 public:
  class Acquire;

  explicit Semaphore(std::size_t permits) noexcept : permits_(permits) {}
  inline ~Semaphore();
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  // co_await: takes a permit; waits while there is none. Waiting tasks are served in order. Give
  // the permit back with release() or a SemaphoreGuard. Errors: throws
  // std::errc::operation_canceled, and then no permit is taken.
  [[nodiscard]] inline Acquire acquire(unsigned line = __builtin_LINE()) noexcept;

  // Takes a permit without waiting. Returns false if there is none. For callbacks too.
  bool try_acquire() noexcept {
    if (permits_ == 0) return false;
    --permits_;
    return true;
  }

  // Gives a permit back, or adds one. If tasks wait, the one that has waited longest gets it.
  inline void release() noexcept;

  // The number of free permits.
  std::size_t available() const noexcept { return permits_; }

 private:
  std::size_t permits_;
  detail::WaitList<Acquire> waiting_;
  detail::ServedList<Acquire> served_;  // that have a permit and have not gone on
};

class Semaphore::Acquire final : public detail::Wait {
 public:
  Acquire(Acquire&& other) noexcept : Wait(std::move(other)), semaphore_(other.semaphore_) {}
  ~Acquire() {
    if (!has_permit_ || semaphore_ == nullptr) return;
    semaphore_->served_.remove(*this);
    semaphore_->release();
  }

  template <detail::TaskPromise P>
  bool await_suspend(std::coroutine_handle<P> task) noexcept {
    return wait(task.promise().chain(), task.address());
  }
  void await_resume() {
    throw_if_cancelled();
    if (!has_permit_) detail::throw_cancelled();  // the semaphore is gone
    if (semaphore_ != nullptr) semaphore_->served_.remove(*this);
    has_permit_ = false;  // the task has it from now on
  }
  Waiting waiting() const noexcept override { return describe("acquire"); }

 private:
  friend class Semaphore;
  Acquire(Semaphore& semaphore, unsigned line) noexcept : Wait(line), semaphore_(&semaphore) {}

  bool wait(detail::Chain& chain, void* frame) noexcept {
    const bool may_go_on = chain.spend();
    const bool free = semaphore_->permits_ > 0;
    if (chain.cancelled && !(free && may_go_on)) {
      begin_cancelled(chain, frame);
    } else if (free) {
      --semaphore_->permits_;
      has_permit_ = true;
      if (may_go_on) return false;
      semaphore_->served_.add(*this);
      begin_done(chain, frame);
    } else {
      begin(chain, frame);
      semaphore_->waiting_.add(chain);
    }
    return true;
  }
  void withdraw() noexcept override {}

  friend class detail::ServedList<Acquire>;

  bool has_permit_ = false;
  Semaphore* semaphore_;  // null: gone
  Acquire* next_served_ = nullptr;
};

inline Semaphore::Acquire Semaphore::acquire(unsigned line) noexcept { return {*this, line}; }

inline void Semaphore::release() noexcept {
  if (Acquire* const acquire = waiting_.take_first()) {
    acquire->has_permit_ = true;
    served_.add(*acquire);
    acquire->wake();
  } else {
    ++permits_;
  }
}

inline Semaphore::~Semaphore() {
  while (Acquire* const acquire = served_.take_first()) acquire->semaphore_ = nullptr;
  while (Acquire* const acquire = waiting_.take_first()) acquire->wake();
}

// Releases a permit in its destructor. The constructor does not acquire it, as that may wait.
//
//   co_await semaphore.acquire();
//   const co::SemaphoreGuard guard(semaphore);
class [[nodiscard]] SemaphoreGuard {
 public:
  explicit SemaphoreGuard(Semaphore& semaphore) noexcept : semaphore_(semaphore) {}
  ~SemaphoreGuard() { semaphore_.release(); }
  SemaphoreGuard(const SemaphoreGuard&) = delete;
  SemaphoreGuard& operator=(const SemaphoreGuard&) = delete;

 private:
  Semaphore& semaphore_;
};

// Wakes tasks that wait for a change, like a condition variable. A notification while no task waits
// has no effect, so test the condition first. No other task runs between the test and wait().
//
//   while (queue.empty()) co_await changed.wait();
//
// Thread-safety: for the tasks of one base. Lifetime: when it is destroyed, waiting tasks resume
// with std::errc::operation_canceled.
class Notification {
 public:
  class Waiter;

  Notification() = default;
  inline ~Notification();
  Notification(const Notification&) = delete;
  Notification& operator=(const Notification&) = delete;

  // co_await: waits for a notification. Errors: throws std::errc::operation_canceled.
  [[nodiscard]] inline Waiter wait(unsigned line = __builtin_LINE()) noexcept;

  // Wakes the task that has waited longest. If that task is destroyed before it resumes, the next
  // one is woken instead.
  inline void notify_one() noexcept;

  // Wakes all tasks that wait now.
  inline void notify_all() noexcept;

 private:
  detail::WaitList<Waiter> waiting_;
  detail::ServedList<Waiter> served_;  // that notify_one() has woken and that have not gone on
};

class Notification::Waiter final : public detail::Wait {
 public:
  Waiter(Waiter&& other) noexcept : Wait(std::move(other)), notification_(other.notification_) {}
  ~Waiter() {
    if (!passes_on_ || notification_ == nullptr) return;
    notification_->served_.remove(*this);
    notification_->notify_one();
  }

  template <detail::TaskPromise P>
  void await_suspend(std::coroutine_handle<P> task) noexcept {
    detail::Chain& chain = task.promise().chain();
    if (chain.cancelled) return begin_cancelled(chain, task.address());
    begin(chain, task.address());
    notification_->waiting_.add(chain);
  }
  void await_resume() {
    throw_if_cancelled();
    if (!notified_) detail::throw_cancelled();  // the notification is gone
    if (passes_on_ && notification_ != nullptr) notification_->served_.remove(*this);
    passes_on_ = false;
  }
  Waiting waiting() const noexcept override { return describe("wait"); }

 private:
  friend class Notification;
  Waiter(Notification& notification, unsigned line) noexcept
      : Wait(line), notification_(&notification) {}
  void notify(bool one) noexcept {
    notified_ = true;
    passes_on_ = one;
    if (one) notification_->served_.add(*this);
    wake();
  }
  void withdraw() noexcept override {}

  friend class detail::ServedList<Waiter>;

  bool notified_ = false;
  bool passes_on_ = false;      // was the only one that was notified, and has not gone on
  Notification* notification_;  // null: gone
  Waiter* next_served_ = nullptr;
};

inline Notification::Waiter Notification::wait(unsigned line) noexcept { return {*this, line}; }

inline void Notification::notify_one() noexcept {
  if (Waiter* const waiter = waiting_.take_first()) waiter->notify(true);
}

inline void Notification::notify_all() noexcept {
  while (Waiter* const waiter = waiting_.take_first()) waiter->notify(false);
}

inline Notification::~Notification() {
  while (Waiter* const waiter = served_.take_first()) waiter->notification_ = nullptr;
  while (Waiter* const waiter = waiting_.take_first()) waiter->wake();
}

static_assert(sizeof(void*) != 8 || sizeof(Semaphore::Acquire) <= 48);
static_assert(sizeof(void*) != 8 || sizeof(Notification::Waiter) <= 48);

}  // namespace event_cpp::co
