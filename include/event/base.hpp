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

// For the floors above the core, and not for users.

// What they keep for this base.
Floors& floors_of(Base& base) noexcept;
// Options::order of the base; null if it has none.
EVENT_API Order* order_of(Base& base) noexcept;
// Whether dispatch() would go on: an event keeps the base alive, or something waits to run.
EVENT_API bool has_work(Base& base) noexcept;

}  // namespace detail

// Waits for events and runs their callbacks, in the thread that calls dispatch() or loop().
//
// Thread-safety: post(), stop() and stop_now() from any thread; everything else, and every event on
// the base, belongs to the thread that runs it. Debug builds of the library assert it.
// Lifetime: base and events may go in either order; a base must not be destroyed in a callback.
class EVENT_API Base {
 public:
  // Errors: throws std::system_error with the system's own code if the kernel refuses a descriptor
  // or the backend asked for; Errc::unsupported if this build has no such backend, and
  // invalid_argument if EVENT_BACKEND names none; std::bad_alloc.
  explicit Base(Options options = {});

  // Detaches every event and destroys what was posted or given to after() and once(). Runs no
  // callback. Destructors of captured objects may use the base: what they post, or give to after()
  // or once(), is destroyed as well; attach() fails with std::errc::operation_canceled, dispatch()
  // with Errc::reentered; stop_after() and activate() do nothing.
  ~Base();
  Base(const Base&) = delete;
  Base& operator=(const Base&) = delete;

  // Runs callbacks until nothing that keeps the base alive is attached and nothing is posted, or
  // until a stop. The same as loop(RunMode::forever). Returns how many callbacks ran, posted
  // functions included.
  //
  // An iteration polls the kernel, makes active what is ready or due, and runs it in this order:
  //   - by priority: high, middle, low
  //   - within a priority by kind: descriptors, timers, alarms, signals, posted functions
  //   - within a kind: first activated first
  // Errors: throws std::system_error: Errc::reentered in a callback of this base, or the system's
  // code of a failed wait. What a callback throws leaves here too; the rest of the batch stays
  // active, and the next call runs it.
  // EBADF means that a descriptor of the base's own was closed, for example by closefrom(3). Other
  // threads can then no longer wake the base: destroy it.
  //
  // A thread may be cancelled while it waits here: see pthread_cancel(3). Where that unwinds the
  // stack, as on Linux with glibc, the base can then be destroyed, or run by another thread. No
  // other call of the library is a cancellation point, except for what callbacks do.
  std::size_t dispatch();

  // The same, until the condition of `mode` holds. Bits of `mode` that have no name are ignored.
  std::size_t loop(RunMode mode);

  // Ends dispatch() after the callbacks that are active now; what they activate or post is kept for
  // the next call. stop() before dispatch() makes the next dispatch() return without polling.
  // Thread-safety: any thread, and any signal handler but on Backend::none. Cost: an atomic
  // operation, and a system call if the base sleeps.
  void stop() noexcept;

  // The same, but after the callback that is running now; the rest stays active.
  void stop_now() noexcept;

  // Stops the current run after `delay`, or the next run if the base is not running. A delay of
  // zero or less has passed already. A new call replaces the one before. It is cancelled when the
  // run ends for any reason. It does not keep the base alive.
  // Errors: throws std::system_error, ENOMEM, or std::bad_alloc.
  void stop_after(AnyDuration delay);

  // Runs f() once, in the base's thread, and destroys it there. Functions that one thread posts
  // with one priority run in order. A function posted by a callback runs in the next iteration.
  // While nobody runs the base, it is kept for the next dispatch(). If the base is destroyed first,
  // it is destroyed without having run. It may be move-only. A callable of up to two pointers does
  // not allocate.
  // Thread-safety: any thread, not a signal handler; the base must outlive the call.
  // Errors: throws std::bad_alloc, and nothing is posted. Cost: a short lock; a system call only
  // if the base sleeps and nobody has woken it yet.
  template <detail::Postable F>
  void post(F&& function, Priority priority = Priority::middle) {
    post(detail::Task(std::forward<F>(function)), priority);
  }

  // Calls back once after a delay, or in the next iteration if the delay is not positive.
  // `callback` is f(Event&, Events), f(Event&), f(Events) or f(). The base owns what this allocates
  // and frees it after the call. Errors: throws std::system_error, ENOMEM, or std::bad_alloc.
  template <detail::CallbackOf<Event> F>
  void after(AnyDuration delay, F&& callback) {
    owned_.attach(std::make_unique<detail::OwnedEvent>(*this, owned_, -1, Events::timeout,
                                                       std::forward<F>(callback)),
                  delay);
  }

  // Calls back once when `fd` is ready or the timeout has passed; a timeout of zero is none.
  // `events` is made one-shot, and `callback` is as that of after(). The base owns what this
  // allocates and frees it after the call.
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

  // How many events are attached, those of after() and once() included.
  std::size_t size() const noexcept;

  // Which backend runs this base; never Backend::automatic.
  Backend backend() const noexcept;

  // What this build can run on this kernel, best first. Cost: system calls; call it once.
  static std::vector<Backend> backends();

  // Grows the tables for so many descriptors and timers at once, so that attaching them allocates
  // nothing. Errors: throws std::bad_alloc.
  //
  // Tables that grow by themselves keep room for the most that they held at once:
  //   - 16 bytes for each descriptor number, up to the highest one that was watched
  //   - at most 40 bytes for each timeout
  //   - at most 16 bytes for each event that was active
  // Memory for timeouts, active events and posted functions is given back, down to 256 KiB of each,
  // when at most a quarter of it is used. The base checks that every 1024 iterations, and when
  // dispatch() returns.
  void reserve(std::size_t descriptors, std::size_t timers);

  // In the child of a fork(2): gives the base kernel objects of its own, and keeps every event,
  // attached or active. Nothing that the child does to its events, before or after, affects the
  // parent's base. Debug builds of the library assert that it was called before the base is run or
  // an event attached; Release builds then do it themselves.
  //
  // Signals that came before the fork are reported to the parent only. A Child in this process
  // cannot wait for the parent's children. Requires: the thread that runs the base forked, or
  // nobody was running it. A function that another thread was posting during the fork may be
  // missing here. If a base runs inside another one, call after_fork() of the inner one first.
  //
  // Errors: throws std::system_error with the system's own code; it may be called again.
  // Cost: a handful of system calls, and one for each descriptor watched.
  void after_fork();

  // A descriptor for another event loop that runs this base inside it: when it is readable, call
  // loop(RunMode::nonblock). It becomes readable when
  //   - a watched descriptor is ready, or a signal has come
  //   - another thread has posted or stopped
  //   - loop() has left something to be run
  // It does not cover timeouts, files that are always ready, and what is activated from outside:
  // next_timeout() does. It belongs to the base: only wait for it, and only for readability.
  // Returns -1 on poll and none, which have no such descriptor, and if no descriptor is left. On
  // epoll a base can be inside a base inside another loop, but not deeper. Cost: system calls the
  // first time.
  int fd() noexcept;

  // Returns how long another loop may sleep before it calls loop(RunMode::nonblock): zero if
  // something can run now, nothing if no timeout is pending. Call it again before each sleep. With
  // a TimeSource it is the exact time until the first deadline, plus Options::slack.
  std::optional<Duration> next_timeout() const noexcept;

  // What this base has done so far. Cost: copies some 300 bytes; counting is done once an
  // iteration, or where something costs a system call anyway.
  Stats stats() const noexcept;

  // Calls callback(const CallbackTime&) right after each callback that took longer than `budget`,
  // by the base's clock. From this call on every callback is measured; hooks are not. A new call
  // replaces the one before. Errors: throws std::system_error, std::errc::invalid_argument for a
  // negative budget; std::bad_alloc. Cost: the clock is read once per callback.
  template <std::invocable<const CallbackTime&> F>
  void on_slow(AnyDuration budget, F&& callback) {
    on_slow(budget, std::make_shared<detail::SlowReport>(std::forward<F>(callback)));
  }

  // Writes a line for each attached event: by descriptor, then timers by deadline, signals, alarms.
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
