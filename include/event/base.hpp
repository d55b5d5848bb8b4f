// Base: the event loop.
#pragma once

#include <concepts>
#include <cstddef>
#include <iosfwd>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "event/detail/callable.hpp"
#include "event/detail/callback.hpp"
#include "event/detail/export.hpp"
#include "event/detail/floors.hpp"
#include "event/detail/owned.hpp"
#include "event/event_class.hpp"
#include "event/options.hpp"
#include "event/stats.hpp"

namespace event_cpp {

namespace detail {

// For the layers above the core, and not for users.

// What these layers keep for this base.
Floors& floors_of(Base& base) noexcept;
// Options::order of the base; null if it has none.
EVENT_API Order* order_of(Base& base) noexcept;
// Undoes stop() if no run has ended by it.
EVENT_API void withdraw_stop(Base& base) noexcept;

}  // namespace detail

// The event loop: waits for events and runs their callbacks, in the thread that calls dispatch() or
// loop().
//
// Thread-safety: post(), stop() and stop_now() may be called from any thread; everything else, and
// every event on the base, belongs to the thread that runs it. Debug builds of the library assert
// it. Lifetime: base and events may be destroyed in either order. A base must not be destroyed in a
// callback.
class EVENT_API Base {
 public:
  // Opens the descriptors of the backend. Errors: throws std::system_error: a system error if the
  // kernel refuses them; Errc::unsupported if this build has no such backend;
  // std::errc::invalid_argument if EVENT_BACKEND is not the name of one. std::bad_alloc.
  explicit Base(Options options = {});

  // Detaches every event and destroys what was posted or given to after() and once(). Runs no
  // callback. Destructors of captured objects may use the base: what they post, or give to after()
  // or once(), is destroyed as well; attach() fails with std::errc::operation_canceled, dispatch()
  // with Errc::reentered; stop_after() and activate() do nothing.
  ~Base();
  Base(const Base&) = delete;
  Base& operator=(const Base&) = delete;

  // Runs callbacks until nothing that keeps the base alive is attached and nothing is posted, or
  // until stop(). Event::keep_alive() says which events keep it alive; all do by default. The same
  // as loop(RunMode::forever). Returns how many callbacks ran, including posted functions.
  //
  // An iteration polls the kernel, makes active what is ready or due, and runs it in this order:
  //   - by priority: high, middle, low
  //   - within a priority by kind: descriptors, timers, alarms, signals, posted functions
  //   - within a kind: first activated first
  // An exception of a callback leaves dispatch(); the callbacks that were active with it stay
  // active, and the next call runs them. Errors: throws std::system_error: Errc::reentered in a
  // callback of this base; a system error if the wait failed. EBADF means that a descriptor of the
  // base itself was closed, for example by closefrom(3). Other threads can then no longer wake the
  // base: destroy it.
  //
  // A thread may be cancelled while it waits here: see pthread_cancel(3). On systems where that
  // unwinds the stack, such as Linux with glibc, the base can then be destroyed, or run by another
  // thread. No other call of the library is a cancellation point, apart from your callbacks.
  std::size_t dispatch();

  // The same, but runs as `mode` says. Unknown bits of `mode` are ignored.
  std::size_t loop(RunMode mode);

  // Ends dispatch() after the callbacks that are active now. Callbacks that these activate or post
  // are kept for the next call. After a stop() before dispatch(), the next dispatch() runs only
  // what is active already, from an earlier call or by activate(), and returns without polling.
  // Thread-safety: any thread, and any signal handler except with Backend::none. Cost: an atomic
  // operation, and a system call if the base sleeps.
  void stop() noexcept;

  // The same, but after the callback that is running now; the other active ones stay active.
  void stop_now() noexcept;

  // Calls stop() after `delay`, in the current run, or in the next one if the base is not running.
  // With a delay of zero or less it stops in the next iteration. A new call replaces the previous
  // one. The pending stop is cancelled when the run ends for any reason, and does not keep the base
  // alive. Errors: throws std::system_error, ENOMEM, or std::bad_alloc.
  void stop_after(AnyDuration delay);

  // Runs function() once, in the base's thread, and destroys it there. Functions that one thread
  // posts with one priority run in order. A function that a callback posts runs in the next
  // iteration. If the base is not running, the function is kept for the next dispatch(). If the
  // base is destroyed first, the function is destroyed without having run. The function may be
  // move-only. A callable of up to two pointers needs no allocation. Thread-safety: any thread, but
  // not a signal handler; the base must outlive the call. Errors: throws std::bad_alloc, and
  // nothing is posted. Cost: a short lock; a system call only if the base sleeps and no other
  // thread has woken it yet.
  template <detail::Postable F>
  void post(F&& function, Priority priority = Priority::middle) {
    post(detail::Task(std::forward<F>(function)), priority);
  }

  // Calls `callback` once after `delay`, or in the next iteration if the delay is not positive.
  // `callback` is f(Event&, Events), f(Event&), f(Events) or f(). The base owns the event, and
  // frees it after the call. It cannot be cancelled: for that use Timer. Errors: throws
  // std::system_error, ENOMEM, or std::bad_alloc.
  template <detail::CallbackOf<Event> F>
  void after(AnyDuration delay, F&& callback) {
    owned_.attach(std::make_unique<detail::OwnedEvent>(*this, owned_, -1, Events::timeout,
                                                       std::forward<F>(callback)),
                  delay);
  }

  // Calls `callback` once, when `fd` is ready or `timeout` has passed; zero means no timeout.
  // Events::persist is ignored. `callback` and ownership are as for after().
  // Errors: throws std::system_error as Event::attach() does; std::bad_alloc.
  template <detail::CallbackOf<Event> F>
  void once(int fd, Events events, AnyDuration timeout, F&& callback) {
    owned_.attach(
        std::make_unique<detail::OwnedEvent>(
            *this, owned_, fd, detail::once_mask(fd, events, timeout), std::forward<F>(callback)),
        timeout);
  }

  // In a callback: the iteration's time, read once on first use. Outside: the current time.
  TimePoint now() const noexcept;

  // True inside dispatch() and loop(), and so in every callback.
  bool running() const noexcept;

  // The number of attached events, including those of after() and once().
  std::size_t size() const noexcept;

  // Whether dispatch() would go on: an event that keeps the base alive is attached, a callback is
  // active or posted, an idle hook exists, or a task is on another base or in another thread.
  bool has_work() const noexcept;

  // The backend of this base; never Backend::automatic.
  Backend backend() const noexcept;

  // The backends that work with this build and this kernel, best first. Cost: several system calls;
  // call it once.
  static std::vector<Backend> backends();

  // Allocates the tables for fds below `descriptors` and for `timers` timeouts at once, so that
  // attaching such events allocates nothing. Errors: throws std::bad_alloc.
  //
  // Tables that grow by themselves keep memory for the most entries that they had at once:
  //   - 16 bytes for each fd from 0 up to the highest one that was watched
  //   - at most 40 bytes for each timeout
  //   - at most 16 bytes for each event that was active
  // Memory for timeouts, active events and posted functions is freed, down to 256 KiB of each,
  // when at most a quarter of it is used. The base checks this every 1024 iterations, and when
  // dispatch() returns.
  void reserve(std::size_t descriptors, std::size_t timers);

  // Call it in the child of a fork(2). Gives the base new kernel objects, and keeps every attached
  // or active event. Changes that the child makes to its events, before or after this call, do not
  // affect the parent's base. Debug builds of the library assert that it was called before the base
  // is run or an event attached; Release builds call it themselves.
  //
  // Signals that arrived before the fork are reported to the parent only. A Child in this process
  // cannot wait for the parent's children. Requires: fork(2) was called by the thread that runs the
  // base, or the base was not running. A function that another thread was posting during the fork
  // may be missing in the child. If a base runs inside another one, call after_fork() of the inner
  // one first.
  //
  // Errors: throws std::system_error with a system error; the call may be repeated.
  // Cost: a handful of system calls, and one for each watched descriptor.
  void after_fork();

  // A descriptor for another event loop in which this base is embedded. When it is readable, call
  // loop(RunMode::nonblock). It is readable when
  //   - a watched descriptor is ready, or a signal has arrived
  //   - another thread has called post() or stop()
  //   - loop() has returned with callbacks still to run
  // It does not cover timeouts (on Linux it may become readable for an alarm or a Clock::boottime
  // timer), files that are always ready, and events that are activated outside loop(): for these
  // see next_timeout(). The base owns it: only wait for readability, and do
  // nothing else with it. Returns -1 on poll and none, which have no such descriptor, and if no fd
  // is left. On epoll a base may be embedded in a base that is embedded in another loop, but not
  // deeper. Cost: system calls the first time.
  int fd() noexcept;

  // Returns how long another loop may sleep before it calls loop(RunMode::nonblock): zero if a
  // callback can run now, no value if no timeout is pending. Call it again before each sleep. It is
  // the time until the first deadline by the base's clock, plus Options::slack, and at most a
  // second while an alarm waits and the kernel does not report changes of the wall clock.
  std::optional<Duration> next_timeout() const noexcept;

  // The counters of this base. Cost: copies some 230 bytes. Counting itself costs little: it is
  // done once per iteration, or together with a system call.
  Stats stats() const noexcept;

  // Calls callback(const CallbackTime&) right after each callback that took longer than `budget`,
  // by the base's clock. From this call on every callback is measured, but no hook. A new call
  // replaces the previous one. Errors: throws std::system_error, std::errc::invalid_argument for a
  // negative budget; std::bad_alloc. Cost: the clock is read once per callback.
  template <std::invocable<const CallbackTime&> F>
  void on_slow(AnyDuration budget, F&& callback) {
    on_slow(budget, std::make_shared<detail::SlowReport>(std::forward<F>(callback)));
  }

  // Writes a line for each attached event: first by descriptor, then timers by deadline, signals,
  // processes and alarms.
  void dump(std::ostream& out) const;

 private:
  friend detail::Loop* detail::loop_of(Base& base) noexcept;
  friend detail::Floors& detail::floors_of(Base& base) noexcept;

  void on_slow(Duration budget, std::shared_ptr<detail::SlowReport> report);

  void post(detail::Task&& task, Priority priority);

  std::unique_ptr<detail::Loop> loop_;
  detail::OwnedEvents owned_;          // its events detach from loop_
  std::unique_ptr<Event> stop_timer_;  // of stop_after(), once it was called
  detail::Floors floors_;
};

inline detail::Floors& detail::floors_of(Base& base) noexcept { return base.floors_; }

}  // namespace event_cpp
