// How a base is made and how it runs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "event/detail/export.hpp"
#include "event/time.hpp"

namespace event_cpp {

// The kernel interface that reports readiness. Not every platform has every one: Base::backends().
enum class Backend : std::uint8_t {
  automatic,
  epoll,
  kqueue,
  poll,

  // No kernel interface, on every platform: the base holds no descriptor, and makes a system call
  // only to block. For simulation, and for threads that only run timers and posted functions.
  //   - timers, alarms, hooks, posted functions and Event::activate() work as on the others
  //   - attaching a descriptor, a signal or a running child process is Errc::unsupported, as is
  //     Clock::boottime
  //   - without a TimeSource it sleeps until the first deadline, a post or a stop
  //   - post() and stop() are for any thread, but not for signal handlers
  //   - an alarm without a TimeSource polls the wall clock once a second
  // Only Options::backend chooses it: not `automatic`, nor EVENT_BACKEND. Base::backends() does not
  // list it.
  none
};

// The clock that timeouts are measured with.
enum class Clock : std::uint8_t {
  monotonic,  // stands still while the machine is suspended: CLOCK_MONOTONIC
  boottime    // goes on: CLOCK_BOOTTIME, where there is one. See clock_gettime(2)
};

// Chooses among callbacks that may run in any order: see Options::order.
class EVENT_API Order {
 public:
  virtual ~Order() = default;

  // Returns an index below `n`, where `n` is at least 2; a larger value is taken modulo `n`. It
  // must not use the base. An exception leaves dispatch(), and everything stays active.
  virtual std::uint32_t pick(std::uint32_t n) = 0;
};

struct Options {
  // `automatic` takes the best that works here. The environment variable EVENT_BACKEND, set to the
  // name of a backend, replaces `automatic` and nothing else. It is ignored in set-user-ID
  // programs. EVENT_BACKEND=none is an error. Any other value of `backend` is Errc::unsupported.
  Backend backend = Backend::automatic;

  // After this many middle and low callbacks the kernel is polled again, so that a high event can
  // overtake. 0 counts as 1.
  std::size_t slice = 64;

  // A wait for a deadline may end this much later, so that timers that are close share a wake-up.
  // Less than zero counts as zero.
  Duration slack = {};

  // Where the base reads the time; nullptr is the clock below. Must outlive the base.
  TimeSource* time = nullptr;

  // For simulation: this picks the order among callbacks that are active at once. Each seed shows
  // another order that a program must cope with. nullptr: the order that Base::dispatch()
  // describes. Must outlive the base. These rules of that order still hold:
  //   - priorities
  //   - timers fire in the order of their deadlines; the choice is among those with the same one.
  //     The same holds for alarms
  //   - posted functions run in order; those taken in one iteration are one item of the choice
  Order* order = nullptr;

  // The clock that timeouts of this base are measured with, if `time` is nullptr. A timer on
  // boottime that was due while the machine slept fires as soon as it is awake. Errc::unsupported
  // where the system has no such clock. Any other value counts as monotonic.
  Clock clock = Clock::monotonic;

  // Measures how long each callback takes, for Stats::longest. Base::on_slow() switches it on as
  // well. Cost: the clock is read once per callback.
  bool timing = false;
};

// How long Base::loop() runs, as a bitmask.
enum class RunMode : std::uint8_t {
  forever = 0,    // until nothing is left to wait for, or stop()
  once = 1,       // until at least one callback has run
  nonblock = 2,   // poll the kernel once, whatever is attached, without waiting
  keep_alive = 4  // do not return because nothing is left to wait for
};

constexpr RunMode operator|(RunMode a, RunMode b) noexcept {
  return static_cast<RunMode>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr RunMode operator&(RunMode a, RunMode b) noexcept {
  return static_cast<RunMode>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}
constexpr bool any(RunMode mode) noexcept { return mode != RunMode::forever; }

}  // namespace event_cpp
