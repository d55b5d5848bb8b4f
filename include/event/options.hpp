// How a base is made and how it runs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "event/time.hpp"

namespace event_cpp {

// The kernel interface that reports readiness. Not every platform has every one: Base::backends().
enum class Backend : std::uint8_t { automatic, epoll, kqueue, poll };

// What timeouts count by.
enum class Clock : std::uint8_t {
  monotonic,  // stands still while the machine is suspended: CLOCK_MONOTONIC
  boottime    // goes on: CLOCK_BOOTTIME, where there is one. See clock_gettime(2)
};

struct Options {
  // `automatic` takes the best that works here; the environment variable EVENT_BACKEND, set to the
  // name of a backend, overrides `automatic` and nothing else. It is not looked at in a program
  // that has more rights than the user who started it (set-user-ID and the like).
  Backend backend = Backend::automatic;

  // How many callbacks below the highest priority run between two looks at the kernel, as long as
  // something of a higher priority is attached. At least 1; 0 counts as 1.
  std::size_t slice = 64;

  // A wait for a deadline may end this much later, so that timers that are close share a wake-up.
  // Less than zero counts as zero.
  Duration slack = {};

  // Where the base reads the time; nullptr is the clock below. Must outlive the base.
  TimeSource* time = nullptr;

  // What the timeouts of this base count by, without a source of time. A timer on boottime that was
  // due while the machine slept fires as soon as it is awake. Errc::unsupported where the system
  // has no such clock.
  Clock clock = Clock::monotonic;

  // Measures how long each callback takes, for Stats::longest, at the price of reading the clock
  // once a callback. Base::on_slow() does so too.
  bool timing = false;
};

// How long Base::loop() runs, as a bitmask.
enum class RunMode : std::uint8_t {
  forever = 0,    // until nothing is left to wait for, or stop()
  once = 1,       // until at least one callback has run
  nonblock = 2,   // one look at the kernel, whatever is attached, never waiting for it
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
