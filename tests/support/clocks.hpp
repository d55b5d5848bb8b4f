// Sources of time for tests, beside ManualTime.
#pragma once

#include <chrono>
#include <cstdint>

#include "event/manual_time.hpp"

namespace event_cpp::test {

// The monotonic clock, which counts how often it is asked: a loop that spins asks without end, one
// that sleeps does not.
class CountingClock : public TimeSource {
 public:
  TimePoint now() const noexcept override {
    ++asked;
    return std::chrono::steady_clock::now();
  }
  bool skip_to(TimePoint) noexcept override {
    ++asked;
    return false;
  }

  mutable std::uint64_t asked = 0;
};

// A time that only the test moves: the base sleeps, in earnest, until a deadline comes to pass.
class FrozenTime : public ManualTime {
 public:
  bool skip_to(TimePoint) noexcept override { return false; }
};

inline TimePoint steady_now() noexcept { return std::chrono::steady_clock::now(); }

}  // namespace event_cpp::test
