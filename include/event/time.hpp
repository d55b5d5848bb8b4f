// Durations, points in time, and where a base reads the time.
#pragma once

#include <chrono>

#include "event/detail/export.hpp"
#include "event/fwd.hpp"

namespace event_cpp {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

// Where a base reads the time, if not from the monotonic clock: a simulation, a test, another
// clock.
//
// Thread-safety: a base calls it from its own thread only.
// Lifetime: it outlives every base that uses it.
class EVENT_API TimeSource {
 public:
  virtual ~TimeSource() = default;

  // The time now. It never goes back.
  virtual TimePoint now() const noexcept = 0;

  // The time of day, for alarms. It may be changed, and go back.
  virtual WallTime wall() const noexcept {
    return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  }

  // A base that has nothing to run before `deadline` asks this instead of sleeping. A source that
  // can move its own time moves it there and returns true; false lets the base sleep.
  virtual bool skip_to(TimePoint deadline) noexcept {
    (void)deadline;
    return false;
  }
};

}  // namespace event_cpp
