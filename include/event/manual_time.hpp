// ManualTime: a clock that the program moves, to test timers without sleeping.
#pragma once

#include <atomic>
#include <cstdint>

#include "event/detail/export.hpp"
#include "event/time.hpp"

namespace event_cpp {

// Use it as Options::time. A base with it never sleeps until a deadline. There are two modes:
//   skip          when nothing is ready, the base moves the time to the next deadline: a year of
//                 hourly tickers runs in milliseconds. If only descriptors are attached and none is
//                 ready, it waits for them without a limit.
//   advance_only  only advance() moves the time; the base waits for descriptors until it is woken.
//                 For tests with real sockets, whose answers may take longer than a timeout.
// loop(RunMode::nonblock) moves the time in neither mode.
//
// In advance_only, a callback may call advance(): the next iteration runs what has become due.
// advance() does not wake a base that sleeps in the kernel. From another thread, post it:
// base.post([&] { time.advance(1s); }).
//
// Thread-safety: now() and wall() from any thread; advance() from the base's thread, or while it is
// not running.
class EVENT_API ManualTime : public TimeSource {
 public:
  enum class Mode : std::uint8_t { skip, advance_only };

  // Starts at an arbitrary time that is not zero; do not rely on its value.
  explicit ManualTime(Mode mode = Mode::skip) noexcept : mode_(mode) {}
  ManualTime(const ManualTime&) = delete;
  ManualTime& operator=(const ManualTime&) = delete;

  TimePoint now() const noexcept override {
    return TimePoint(Duration(nanoseconds_.load(std::memory_order_acquire)));
  }

  // Moves the time on by `step`. A negative duration changes nothing: this clock is monotonic. The
  // time stops at TimePoint::max().
  void advance(AnyDuration step) noexcept {
    const Duration by = step;
    if (by <= Duration::zero()) return;
    const Duration left = TimePoint::max() - now();
    move_to(by < left ? now() + by : TimePoint::max());
  }

  // The time of day starts at 2000-01-01 00:00:00 UTC and advances with the time. It stops at
  // WallTime::max().
  WallTime wall() const noexcept override {
    Duration::rep wall = 0;
    const bool too_late =
        __builtin_add_overflow(nanoseconds_.load(std::memory_order_acquire),
                               wall_offset_.load(std::memory_order_acquire), &wall);
    return too_late ? WallTime::max() : WallTime(Duration(wall));
  }

  // Sets the time of day, forward or back, as an administrator or a time server does. Timeouts do
  // not move. A time too far back for the clock becomes the earliest one. Thread-safety: as
  // advance().
  void set_wall(WallTime to) noexcept {
    Duration::rep offset = 0;
    const bool too_early = __builtin_sub_overflow(to.time_since_epoch().count(),
                                                  now().time_since_epoch().count(), &offset);
    wall_offset_.store(too_early ? Duration::min().count() : offset, std::memory_order_release);
  }

  bool skip_to(TimePoint deadline) noexcept override {
    if (mode_ == Mode::advance_only) return false;
    if (deadline > now()) move_to(deadline);
    return true;
  }

  Duration sleep_until(TimePoint deadline) const noexcept override {
    return mode_ == Mode::advance_only ? Duration::max() : TimeSource::sleep_until(deadline);
  }

 private:
  void move_to(TimePoint to) noexcept {
    nanoseconds_.store(to.time_since_epoch().count(), std::memory_order_release);
  }

  const Mode mode_;
  std::atomic<Duration::rep> nanoseconds_{1'000'000'000};
  std::atomic<Duration::rep> wall_offset_{946'684'799'000'000'000};
};

}  // namespace event_cpp
