// A clock that only a program moves: timers are tested without sleeping.
#pragma once

#include <atomic>

#include "event/detail/export.hpp"
#include "event/time.hpp"

namespace event_cpp {

// A base on manual time never sleeps for a deadline: when nothing is ready it moves the time to
// the next one. A year of hourly tickers runs in milliseconds.
//
// Thread-safety: now() and wall() from any thread; advance() from the base's thread, or while it is
// not running.
class EVENT_API ManualTime : public TimeSource {
 public:
  // Starts at an arbitrary point, not zero: a program must not rely on it.
  ManualTime() noexcept = default;
  ManualTime(const ManualTime&) = delete;
  ManualTime& operator=(const ManualTime&) = delete;

  TimePoint now() const noexcept override {
    return TimePoint(Duration(nanoseconds_.load(std::memory_order_acquire)));
  }

  // Moves the time on by `by`. A negative duration changes nothing: this clock is monotonic. The
  // time stops at TimePoint::max().
  void advance(Duration by) noexcept {
    if (by <= Duration::zero()) return;
    const Duration left = TimePoint::max() - now();
    move_to(by < left ? now() + by : TimePoint::max());
  }

  // The time of day goes on with the time, from the first second of 2000 (UTC).
  WallTime wall() const noexcept override {
    return WallTime(Duration(nanoseconds_.load(std::memory_order_acquire)) +
                    Duration(wall_offset_.load(std::memory_order_acquire)));
  }

  // Sets the time of day, forward or back, as an administrator or a time server does: nothing that
  // was attached with a timeout moves. From the threads that may advance().
  void set_wall(WallTime to) noexcept {
    wall_offset_.store((to.time_since_epoch() - now().time_since_epoch()).count(),
                       std::memory_order_release);
  }

  bool skip_to(TimePoint deadline) noexcept override {
    if (deadline > now()) move_to(deadline);
    return true;
  }

 private:
  void move_to(TimePoint to) noexcept {
    nanoseconds_.store(to.time_since_epoch().count(), std::memory_order_release);
  }

  std::atomic<Duration::rep> nanoseconds_{1'000'000'000};
  std::atomic<Duration::rep> wall_offset_{946'684'799'000'000'000};
};

}  // namespace event_cpp
