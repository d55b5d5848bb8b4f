// The clock that a loop's timeouts count by, and the time of an iteration.
#pragma once

#include <algorithm>
#include <chrono>

#include "event/options.hpp"
#include "event/time.hpp"
#include "sys/deadline.hpp"
#include "sys/timer_fd.hpp"

namespace event_cpp::detail {

// A TimeSource, or a clock of the kernel's. The time of an iteration is read on first use: an
// iteration that needs no time does not pay for it.
class LoopClock {
 public:
  explicit LoopClock(const Options& options) noexcept
      : source_(options.time),
        is_boottime_(options.time == nullptr && options.clock == Clock::boottime),
        is_monotonic_(options.time == nullptr && !is_boottime_) {}

  // True for the monotonic clock of the kernel: the one that pollers wait by.
  bool is_monotonic() const noexcept { return is_monotonic_; }
  bool is_boottime() const noexcept { return is_boottime_; }
  bool is_source() const noexcept { return source_ != nullptr; }

  TimePoint now() const noexcept {
    if (is_monotonic()) [[likely]]
      return std::chrono::steady_clock::now();
    return source_ != nullptr ? before_never(source_->now()) : boot_time();
  }

  WallTime wall() const noexcept {
    if (source_ != nullptr) return before_never(source_->wall());
    return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  }

  void begin_iteration() noexcept { knows_iteration_ = false; }
  bool knows_iteration() const noexcept { return knows_iteration_; }
  TimePoint iteration() const noexcept {
    if (!knows_iteration_) [[unlikely]] {
      iteration_ = now();
      knows_iteration_ = true;
    }
    return iteration_;
  }

 private:
  // A deadline at the end of time is never due: a Ticker whose next deadline is there would tick
  // without end.
  template <class Time>
  static Time before_never(Time time) noexcept {
    return std::min(time, Time::max() - Duration(1));
  }

  TimeSource* const source_;
  const bool is_boottime_;
  const bool is_monotonic_;
  mutable bool knows_iteration_ = false;
  mutable TimePoint iteration_{};
};

}  // namespace event_cpp::detail
