// Awaitable operations: time, fds, signals, child processes, yield().
#pragma once

#include <sys/types.h>

#include <coroutine>
#include <exception>
#include <memory>
#include <system_error>

#include "event/child.hpp"
#include "event/co/task.hpp"

namespace event_cpp::co {

namespace detail {

class EventWait;

// The event of a wait, on its own so that frames stay small.
class WaitEvent final : public Event, public Pooled {
 public:
  WaitEvent(Base& base, int fd, Events events, EventWait& wait) noexcept
      : Event(base, fd, events, Calls<&WaitEvent::fire>()) {
    ::new (room()) EventWait*(&wait);
  }

 private:
  static void fire(Event& event, Events fired);
};

// A wait that ends when an event fires. Its task goes on in the callback.
class EVENT_API EventWait : public Wait {
 public:
  void fire(Events fired) noexcept {
    fired_ = fired;
    resume();
  }

 protected:
  using Wait::Wait;
  EventWait(EventWait&&) noexcept = default;
  ~EventWait() = default;

  void begin_sleep(Chain& chain, void* frame, Duration delay);
  void begin_sleep_until(Chain& chain, void* frame, TimePoint deadline);
  void begin_ready(Chain& chain, void* frame, int fd, Events events, Duration timeout);
  Events fired() const noexcept { return fired_; }

 private:
  void withdraw() noexcept override { event_.reset(); }
  WaitEvent& make(Chain& chain, int fd, Events events);

  Events fired_ = Events::none;  // first: in the padding of Wait
  std::unique_ptr<WaitEvent> event_;
};

class Sleep final : public EventWait {
 public:
  Sleep(Duration delay, unsigned line) noexcept : EventWait(line), delay_(delay) {}
  template <TaskPromise P>
  void await_suspend(std::coroutine_handle<P> task) {
    begin_sleep(task.promise().chain(), task.address(), delay_);
  }
  void await_resume() const { throw_if_cancelled(); }
  Waiting waiting() const noexcept override { return describe("sleep"); }

 private:
  Duration delay_;
};

class SleepUntil final : public EventWait {
 public:
  SleepUntil(TimePoint deadline, unsigned line) noexcept : EventWait(line), deadline_(deadline) {}
  template <TaskPromise P>
  void await_suspend(std::coroutine_handle<P> task) {
    begin_sleep_until(task.promise().chain(), task.address(), deadline_);
  }
  void await_resume() const { throw_if_cancelled(); }
  Waiting waiting() const noexcept override { return describe("sleep_until"); }

 private:
  TimePoint deadline_;
};

class Ready final : public EventWait {
 public:
  Ready(int fd, Events events, Duration timeout, unsigned line) noexcept
      : EventWait(line), timeout_(timeout), fd_(fd), events_(events) {}
  template <TaskPromise P>
  void await_suspend(std::coroutine_handle<P> task) {
    begin_ready(task.promise().chain(), task.address(), fd_, events_, timeout_);
  }
  Events await_resume() const {
    throw_if_cancelled();
    return fired();
  }
  Waiting waiting() const noexcept override { return describe("ready", fd_); }

 private:
  Duration timeout_;
  int fd_;
  Events events_;
};

class Yield final : public Wait {
 public:
  explicit Yield(unsigned line) noexcept : Wait(line) {}
  template <TaskPromise P>
  void await_suspend(std::coroutine_handle<P> task) noexcept {
    Chain& chain = task.promise().chain();
    if (chain.cancelled) return begin_cancelled(chain, task.address());
    begin_done(chain, task.address());
  }
  void await_resume() const {
    if (chain()->cancelled) throw_cancelled();
  }
  Waiting waiting() const noexcept override { return describe("yield"); }

 private:
  void withdraw() noexcept override {}
};

// Before an operation that can complete without a wait: yields if the budget of the chain is used
// up, and then fails if the task is cancelled.
class Spend final : public Wait {
 public:
  Spend() noexcept : Wait(0) {}
  template <TaskPromise P>
  bool await_suspend(std::coroutine_handle<P> task) noexcept {
    Chain& chain = task.promise().chain();
    if (chain.spend()) return false;
    if (chain.cancelled) {
      begin_cancelled(chain, task.address());
    } else {
      begin_done(chain, task.address());
    }
    return true;
  }
  void await_resume() const {
    if (chain() != nullptr && chain()->cancelled) throw_cancelled();
  }
  Waiting waiting() const noexcept override { return describe("yield"); }

 private:
  void withdraw() noexcept override {}
};

// A task asks for something that needs no wait.
template <class T, T (*kAnswer)(Chain&)>
class Question {
 public:
  bool await_ready() const noexcept { return false; }
  template <TaskPromise P>
  bool await_suspend(std::coroutine_handle<P> task) noexcept {
    chain_ = &task.promise().chain();
    return false;
  }
  T await_resume() const noexcept { return kAnswer(*chain_); }

 private:
  Chain* chain_ = nullptr;
};

inline Base& base_of(Chain& chain) noexcept { return chain.scheduler->base(); }
inline bool is_cancelled(Chain& chain) noexcept { return chain.cancelled; }

// Of a signal on a base, from the first wait for it on.
struct EVENT_API SignalWatch {
  SignalWatch(Base& base, int number);
  void raised();

  int signo;
  bool pending = false;  // it came while nobody waited
  Link waiting;
  std::unique_ptr<Event> event;
};

class EVENT_API SignalWait final : public Wait {
 public:
  SignalWait(int signo, unsigned line) noexcept : Wait(line), signo_(signo) {}
  SignalWait(SignalWait&&) noexcept = default;
  ~SignalWait();
  template <TaskPromise P>
  bool await_suspend(std::coroutine_handle<P> task) {
    return begin_wait(task.promise().chain(), task.address());
  }
  void await_resume() const { throw_if_cancelled(); }
  Waiting waiting() const noexcept override { return describe("signal", signo_); }

 private:
  friend struct SignalWatch;
  bool begin_wait(Chain& chain, void* frame);
  void withdraw() noexcept override;

  SignalWatch* watch_ = nullptr;  // while it waits
  int signo_;
};

class EVENT_API ExitWait final : public Wait {
 public:
  ExitWait(pid_t pid, unsigned line) noexcept : Wait(line), pid_(pid) {}
  ExitWait(ExitWait&&) noexcept = default;
  ~ExitWait() = default;
  template <TaskPromise P>
  void await_suspend(std::coroutine_handle<P> task) {
    begin_wait(task.promise().chain(), task.address());
  }
  int await_resume() const {
    throw_if_cancelled();
    return status_;
  }
  Waiting waiting() const noexcept override { return describe("exited", pid_); }

 private:
  void begin_wait(Chain& chain, void* frame);
  void withdraw() noexcept override { child_.reset(); }

  std::unique_ptr<event_cpp::Child> child_;  // not the task of a group
  pid_t pid_;
  int status_ = 0;
};

// What an awaiter takes in the frame of the task that uses it: g++ gives each its own place.
static_assert(sizeof(void*) != 8 || sizeof(Sleep) <= 48);
static_assert(sizeof(void*) != 8 || sizeof(SleepUntil) <= 48);
static_assert(sizeof(void*) != 8 || sizeof(Ready) <= 48);
static_assert(sizeof(void*) != 8 || sizeof(Yield) <= 32);
static_assert(sizeof(void*) != 8 || sizeof(SignalWait) <= 48);
static_assert(sizeof(void*) != 8 || sizeof(ExitWait) <= 48);

}  // namespace detail

// Await them where you call them, `co_await sleep(1s)`, or pass them to with_timeout(), when_all()
// and similar functions. Unless stated otherwise they throw std::bad_alloc, and in a cancelled task
// std::system_error, std::errc::operation_canceled. While a task waits for one of these, dispatch()
// does not return for lack of events.

// The base that this task runs on. Never waits.
inline detail::Question<Base&, &detail::base_of> base() noexcept { return {}; }

// Whether this task was cancelled. Never waits, never throws.
inline detail::Question<bool, &detail::is_cancelled> cancelled() noexcept { return {}; }

// Waits for `delay`, counted from now by the base's clock, never less. A delay that is not positive
// ends in the next iteration. Duration::max() waits until the task is cancelled. Errors: also
// ENOMEM.
[[nodiscard]] inline detail::Sleep sleep(AnyDuration delay,
                                         unsigned line = __builtin_LINE()) noexcept {
  return {delay, line};
}

// Waits until the base's clock has reached `deadline`. Errors: as sleep(). Cost: unlike sleep() it
// does not read the clock.
[[nodiscard]] inline detail::SleepUntil sleep_until(AnyDeadline deadline,
                                                    unsigned line = __builtin_LINE()) noexcept {
  return {deadline, line};
}

// Lets other tasks and callbacks run: the task resumes in the next iteration.
[[nodiscard]] inline detail::Yield yield(unsigned line = __builtin_LINE()) noexcept {
  return detail::Yield(line);
}

// Waits until `fd` is ready for one of `events`, or `timeout` has passed; zero means no timeout.
// Returns the conditions that are true. Events::timeout and a readiness may both be set, so test
// readiness first. The fd is not owned, and must not be closed while a task waits for it.
// Errors: also those of Event::attach(). Cost: one or two system calls for each wait.
[[nodiscard]] inline detail::Ready ready(int fd, Events events, AnyDuration timeout = {},
                                         unsigned line = __builtin_LINE()) noexcept {
  return {fd, events & ~Events::persist, timeout, line};
}

// Waits until the process receives the signal. From the first call until the base is destroyed, the
// base handles this signal, so that its default action, such as ending the program, does not happen
// any more. If the signal arrives while no task waits for it, the next wait ends at once; several
// such signals count as one. All tasks that wait for the signal resume.
// Errors: also those of Signal::attach(). See sigaction(2).
[[nodiscard]] inline detail::SignalWait signal(int signo,
                                               unsigned line = __builtin_LINE()) noexcept {
  return {signo, line};
}

// Waits until a child process of this process has ended, and reaps it. Returns its wait status: see
// waitpid(2); -1 if other code has reaped it. Cancelling the wait does not affect the child.
// Errors: also those of Child::attach(), such as ECHILD.
[[nodiscard]] inline detail::ExitWait exited(pid_t pid, unsigned line = __builtin_LINE()) noexcept {
  return {pid, line};
}

// Whether this exception is a std::system_error with std::errc::operation_canceled. Code that
// catches everything should rethrow such exceptions.
inline bool is_cancellation(const std::exception_ptr& error) noexcept {
  return detail::is_cancellation(error);
}

}  // namespace event_cpp::co
