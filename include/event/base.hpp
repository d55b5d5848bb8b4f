// Base: the event loop.
#pragma once

#include <concepts>
#include <cstddef>
#include <iosfwd>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "event/detail/export.hpp"
#include "event/detail/owned.hpp"
#include "event/detail/slow_report.hpp"
#include "event/detail/task.hpp"
#include "event/event_object.hpp"
#include "event/options.hpp"
#include "event/stats.hpp"

namespace event_cpp {

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

  // Detaches what is attached, drops what was posted, and runs no callback.
  ~Base();
  Base(const Base&) = delete;
  Base& operator=(const Base&) = delete;

  // Runs callbacks until nothing that keeps the base alive is attached and nothing is posted, or
  // until a stop. Returns how many ran, posted functions included. The same as
  // loop(RunMode::forever).
  //
  // An iteration looks at the kernel, makes what is ready or due active, and runs it: high before
  // middle before low, within a priority descriptors before timers before alarms before signals
  // before posted functions, and first activated first. Errors: throws std::system_error,
  // Errc::reentered in a callback of this base, or what the kernel says of the wait. What a
  // callback throws leaves here too; the rest of the batch stays active, and the next call runs it.
  std::size_t dispatch();

  // The same, until `mode` says.
  std::size_t loop(RunMode mode);

  // Ends dispatch() after the callbacks that are active now; what they in turn activate or post is
  // kept for the next call. Called before dispatch(), it is kept for it, which then does not look
  // at the kernel. Cost: an atomic operation, and a system call if the base sleeps. Thread-safety:
  // any thread, and any signal handler.
  void stop() noexcept;

  // The same, but after the callback that is running now; the rest stays active.
  void stop_now() noexcept;

  // Stops after a time, counted from this call. Does not by itself keep the base alive.
  // Errors: throws std::system_error, Errc::invalid_event for a negative time; std::bad_alloc.
  void stop_after(Duration delay);

  // Runs f() once, in the base's thread. Functions of one thread and priority run in order; one
  // that is posted by a callback runs in the next iteration. A callable of up to two pointers does
  // not allocate.
  // Thread-safety: any thread, not a signal handler; the base must outlive the call.
  // Errors: throws std::bad_alloc, and nothing is posted. Cost: a short lock; a system call only
  // if the base sleeps and nobody has woken it yet.
  template <class F>
  requires std::invocable < std::decay_t<F>
  & > void post(F&& function, Priority priority = Priority::middle) {
    post(detail::Task(std::forward<F>(function)), priority);
  }

  // Calls once after a delay. The base owns what this allocates and frees it after the call.
  // Errors: throws std::system_error, Errc::invalid_event for a negative delay; std::bad_alloc.
  template <detail::EventCallback F>
  void after(Duration delay, F&& callback) {
    owned_.attach(std::make_unique<detail::Owned<std::decay_t<F>>>(
                      *this, owned_, -1, Events::timeout, std::forward<F>(callback)),
                  delay);
  }

  // Calls once when `fd` is ready or the timeout has passed; a timeout of zero is none. `events` is
  // made one-shot. The base owns what this allocates and frees it after the call.
  // Errors: throws std::system_error as Event::attach() does; std::bad_alloc.
  template <detail::EventCallback F>
  void once(int fd, Events events, Duration timeout, F&& callback) {
    owned_.attach(
        std::make_unique<detail::Owned<std::decay_t<F>>>(
            *this, owned_, fd, detail::once_mask(fd, events, timeout), std::forward<F>(callback)),
        timeout);
  }

  // In a callback: the time of this iteration, the same until the next one; of the monotonic clock
  // it is read when it is first asked for, so that an iteration without timers does not pay for it.
  // Else the real time.
  TimePoint now() const noexcept;

  // True in dispatch() and loop(), so in every callback.
  bool running() const noexcept;

  // How many events are attached, those of after() and once() included.
  std::size_t size() const noexcept;

  // Which backend runs this base; never Backend::automatic.
  Backend backend() const noexcept;

  // What this build can run on this kernel, best first. Cost: system calls; ask once.
  static std::vector<Backend> backends();

  // Grows the tables for so many descriptors and timers at once, so that attaching them allocates
  // nothing. Errors: throws std::bad_alloc.
  void reserve(std::size_t descriptors, std::size_t timers);

  // In the child of a fork(2): gives the base a kernel side of its own, with every event it has,
  // attached or active. Until then what the child does to its events does not reach the parent,
  // whose base goes on as if nothing had happened. Debug builds of the library assert that it was
  // called before the base is run or an event attached; others then do it themselves.
  //
  // Signals that were noted before the fork are the parent's. So are its children: a Child here can
  // learn nothing of them. Requires: the thread that runs the base forked, or nobody was running
  // it; no other thread was in post(). A base inside another base comes before that one.
  //
  // Errors: throws std::system_error with the system's own code; it may be called again.
  // Cost: a handful of system calls, and one for each descriptor watched.
  void after_fork();

  // To run this base inside another loop: becomes readable when a watched descriptor is ready, a
  // signal has come, another thread has posted or stopped, or loop() has left something to be run;
  // -1 on poll, which has none, and if no descriptor is left. Of timeouts, of files that are always
  // ready, and of what is activated from outside, next_timeout() tells. When either says so:
  // loop(RunMode::nonblock). On epoll a base can be inside a base inside another loop, no deeper.
  // The descriptor belongs to the base, and is only to be waited for, for readability.
  //
  // Cost: system calls the first time.
  int fd() const noexcept;

  // How long another loop may sleep at most before it calls loop(RunMode::nonblock): zero if
  // something is to be run now, nothing if no timeout is pending. Ask anew before each sleep.
  std::optional<Duration> next_timeout() const noexcept;

  // What this base has done so far. Cost: copies some 300 bytes; counting is done once an
  // iteration, or where something costs a system call anyway.
  Stats stats() const noexcept;

  // Calls callback(const CallbackTime&) right after each callback that took longer than `budget`,
  // by the base's clock, and measures each from now on. Replaces what was given before; hooks are
  // not measured. Errors: throws std::system_error, Errc::invalid_event for a negative budget;
  // std::bad_alloc. Cost: the clock is read once a callback.
  template <std::invocable<const CallbackTime&> F>
  void on_slow(Duration budget, F&& callback) {
    on_slow(budget, detail::SlowReport::make(std::forward<F>(callback)));
  }

  // Writes a line for each attached event: by descriptor, then timers by deadline, signals, alarms.
  void dump(std::ostream& out) const;

 private:
  friend detail::Loop* detail::loop_of(Base& base) noexcept;

  void on_slow(Duration budget, std::shared_ptr<detail::SlowReport> report);

  void post(detail::Task&& task, Priority priority);

  std::unique_ptr<detail::Loop> loop_;
  detail::OwnedEvents owned_;  // its events detach from loop_
};

}  // namespace event_cpp
