// Options of a base, and RunMode: how long it runs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "event/detail/export.hpp"
#include "event/time.hpp"

namespace event_cpp {

// The kernel interface that reports readiness. Base::backends() returns those of this platform.
enum class Backend : std::uint8_t {
  automatic,
  epoll,
  kqueue,
  poll,

  // No kernel interface, on every platform: the base opens no descriptor, and makes system calls
  // only to sleep, and to wake a thread that sleeps. For simulation, and for threads that only run
  // timers and posted functions.
  //   - timers, alarms, hooks, posted functions and Event::activate() work as with other backends
  //   - attaching a descriptor, a signal or a running child process fails with Errc::unsupported;
  //     so does Clock::boottime
  //   - without a TimeSource it sleeps until the first deadline, a post() or a stop()
  //   - post() and stop() may be called from any thread, but not from signal handlers
  //   - an alarm without a TimeSource polls the wall clock once a second
  // Only Options::backend can choose it: `automatic` and EVENT_BACKEND do not, and Base::backends()
  // does not return it.
  none
};

// The clock that timeouts are measured with.
enum class Clock : std::uint8_t {
  monotonic,  // stops while the machine is suspended: CLOCK_MONOTONIC
  boottime    // includes that time: CLOCK_BOOTTIME, if the system has it. See clock_gettime(2)
};

// Chooses the order of callbacks that are active at once, for simulation: see Options::order.
class EVENT_API Order {
 public:
  virtual ~Order() = default;

  // Returns an index below `n`, where `n` is at least 2; a larger value is taken modulo `n`. It
  // must not use the base. An exception leaves dispatch(), and everything stays active.
  virtual std::uint32_t pick(std::uint32_t n) = 0;
};

struct Options {
  // `automatic` chooses the best backend that works on this system, or the one that the environment
  // variable EVENT_BACKEND names. The variable has no effect on other values, and is ignored in
  // set-user-ID programs. EVENT_BACKEND=none is an error. An invalid value of `backend` fails with
  // Errc::unsupported.
  Backend backend = Backend::automatic;

  // After this many middle and low callbacks the kernel is polled again, if something of a higher
  // priority is attached or posted, so that it can overtake. 0 counts as 1.
  std::size_t slice = 64;

  // A wait for a deadline may end this much later, so that timers with close deadlines share a
  // wake-up. A negative value counts as zero.
  Duration slack = {};

  // The clock of the base; nullptr means `clock` below. Must outlive the base.
  TimeSource* time = nullptr;

  // For simulation: chooses the order of callbacks that are active at once, to test a program with
  // different orders. nullptr means the order that Base::dispatch() describes. Must outlive the
  // base. These rules still hold:
  //   - callbacks run by priority
  //   - timers fire in the order of their deadlines; only those with the same deadline may be
  //     reordered. The same holds for alarms
  //   - posted functions run in order; those of one iteration are one item of the choice
  Order* order = nullptr;

  // The clock that measures timeouts of this base if `time` is nullptr. A boottime timer that
  // expires while the machine is suspended fires as soon as the machine resumes. Errc::unsupported
  // if the system has no such clock. An invalid value counts as monotonic.
  Clock clock = Clock::monotonic;

  // Measures how long each callback takes, for Stats::longest. Base::on_slow() also turns it on.
  // Cost: the clock is read once per callback.
  bool timing = false;
};

// How long Base::loop() runs, as a bitmask.
enum class RunMode : std::uint8_t {
  forever = 0,    // until nothing that keeps the base alive is left, or stop()
  once = 1,       // until at least one callback has run
  nonblock = 2,   // polls the kernel once without waiting, even if nothing is attached
  keep_alive = 4  // does not return for lack of events
};

constexpr RunMode operator|(RunMode a, RunMode b) noexcept {
  return static_cast<RunMode>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr RunMode operator&(RunMode a, RunMode b) noexcept {
  return static_cast<RunMode>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}
constexpr bool any(RunMode mode) noexcept { return mode != RunMode::forever; }

}  // namespace event_cpp
