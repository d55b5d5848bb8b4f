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

// What clock timeouts count by.
enum class Clock : std::uint8_t {
  monotonic,  // stands still while the machine is suspended: CLOCK_MONOTONIC
  boottime    // goes on: CLOCK_BOOTTIME, where there is one. See clock_gettime(2)
};

// Picks what runs next, where the order is open: see Options::order.
class EVENT_API Order {
 public:
  virtual ~Order() = default;

  // Returns a number less than `n`, which is at least 2; a larger one counts modulo `n`. Must not
  // use the base. What it throws leaves dispatch(), and everything stays active.
  virtual std::uint32_t pick(std::uint32_t n) = 0;
};

struct Options {
  // `automatic` takes the best that works here; the environment variable EVENT_BACKEND, set to the
  // name of a backend, overrides `automatic` and nothing else. Ignored in set-user-ID programs.
  // EVENT_BACKEND=none is an error. A value that is none of Backend's is Errc::unsupported.
  Backend backend = Backend::automatic;

  // After this many middle and low callbacks the kernel is polled again, so that a high event can
  // overtake. 0 counts as 1.
  std::size_t slice = 64;

  // A wait for a deadline may end this much later, so that timers that are close share a wake-up.
  // Less than zero counts as zero.
  Duration slack = {};

  // Where the base reads the time; nullptr is the clock below. Must outlive the base.
  TimeSource* time = nullptr;

  // For simulation: what is active at once runs in the order that this picks, so that another seed
  // shows another order that a program must be ready for. nullptr: in the order that
  // Base::dispatch() names. Must outlive the base. With it, of those rules these hold:
  //   - priorities
  //   - timers fire in the order of their deadlines: an iteration takes those of one deadline, and
  //     picks among them; likewise alarms
  //   - posted functions run in order among themselves; those taken in one iteration run in a row,
  //     which counts as one
  Order* order = nullptr;

  // What the timeouts of this base count by, without a source of time. A timer on boottime that was
  // due while the machine slept fires as soon as it is awake. Errc::unsupported where the system
  // has no such clock. A value that is none of these counts as monotonic.
  Clock clock = Clock::monotonic;

  // Measures how long each callback takes, for Stats::longest, at the price of reading the clock
  // once a callback. Base::on_slow() does so too.
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
