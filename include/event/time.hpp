// Durations, points in time, and TimeSource: the clock of a base.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <ratio>
#include <type_traits>

#include "event/detail/export.hpp"
#include "event/fwd.hpp"

namespace event_cpp {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

namespace detail {

// Rounds away from zero, so that a wait never becomes shorter than requested, nor zero. A duration
// that does not fit becomes Duration::max() or Duration::min(), and a NaN zero.
template <class Rep, class Period>
constexpr Duration to_duration(std::chrono::duration<Rep, Period> time) noexcept {
  using Ratio = std::ratio_divide<Period, std::nano>;  // nanoseconds in a tick
  if constexpr (std::is_integral_v<Rep>) {
    using Wide = std::conditional_t<std::is_signed_v<Rep>, std::intmax_t, std::uintmax_t>;
    constexpr auto kTicks = static_cast<Wide>(Ratio::den);
    const auto count = static_cast<Wide>(time.count());
    const auto rest = static_cast<std::intmax_t>(count % kTicks) * Ratio::num;
    const std::intmax_t left = rest % Ratio::den;
    const std::intmax_t up = rest / Ratio::den + (left > 0 ? 1 : left < 0 ? -1 : 0);
    std::intmax_t sum = 0;
    if (__builtin_mul_overflow(count / kTicks, Ratio::num, &sum) ||
        __builtin_add_overflow(sum, up, &sum)) {
      return time.count() > 0 ? Duration::max() : Duration::min();
    }
    return Duration(sum);
  } else {
    constexpr long double kLimit = 0x1p63L;
    if (time.count() != time.count()) return Duration::zero();
    const long double count =
        static_cast<long double>(time.count()) * Ratio::num / static_cast<long double>(Ratio::den);
    if (count >= kLimit) return Duration::max();
    if (count <= -kLimit) return Duration::min();
    const auto whole = static_cast<Duration::rep>(count);
    const long double left = count - static_cast<long double>(whole);
    return Duration(whole + (left > 0 ? 1 : left < 0 ? -1 : 0));
  }
}

}  // namespace detail

// Both classes below exist to convert implicitly. NOLINTBEGIN(google-explicit-constructor)

// The type of parameters and options that are durations: any std::chrono::duration converts to it.
// A duration that is too long for Duration, such as std::chrono::hours::max(), becomes
// Duration::max(), which means "never"; one that is too far below zero becomes Duration::min(),
// which means "has passed". Fractions of a nanosecond are rounded away from zero.
class AnyDuration {
 public:
  constexpr AnyDuration() noexcept = default;
  template <class Rep, class Period>
  constexpr AnyDuration(std::chrono::duration<Rep, Period> time) noexcept
      : value_(detail::to_duration(time)) {}

  constexpr operator Duration() const noexcept { return value_; }
  friend constexpr bool operator==(AnyDuration, AnyDuration) noexcept = default;
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes what is defaulted for a zero
  friend constexpr auto operator<=>(AnyDuration, AnyDuration) noexcept = default;

 private:
  Duration value_{};
};

// The same for a point in time of `Clock`, of any resolution.
template <class Clock>
class AnyTimePoint {
 public:
  using Exact = std::chrono::time_point<Clock, Duration>;

  template <class D>
  constexpr AnyTimePoint(std::chrono::time_point<Clock, D> time) noexcept
      : value_(detail::to_duration(time.time_since_epoch())) {}

  constexpr operator Exact() const noexcept { return value_; }

 private:
  Exact value_;
};

// NOLINTEND(google-explicit-constructor)

// The parameter type for deadlines of the base's clock.
using AnyDeadline = AnyTimePoint<std::chrono::steady_clock>;

// A clock for a base, instead of the monotonic clock: for simulations, tests and other clocks; see
// Options::time. With one, loop(RunMode::nonblock) never sleeps.
//
// Thread-safety: a base calls it from its own thread only.
// Lifetime: it outlives every base that uses it.
class EVENT_API TimeSource {
 public:
  virtual ~TimeSource() = default;

  // The time now. It never goes back. Since a deadline at TimePoint::max() means never, a base
  // takes that time, and WallTime::max(), for the nanosecond before.
  virtual TimePoint now() const noexcept = 0;

  // The time of day, for alarms. It may jump, and go back.
  virtual WallTime wall() const noexcept {
    return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  }

  // A base that has nothing to run before `deadline` calls this instead of sleeping. A source that
  // can move its own time moves it there and returns true; false lets the base sleep.
  virtual bool skip_to(TimePoint deadline) noexcept {
    (void)deadline;
    return false;
  }

  // Returns how long a base that has nothing to run before `deadline` may sleep before it reads the
  // time again, by the monotonic clock. Duration::max() means until something else wakes it.
  // Override it if this clock does not advance at the speed of the monotonic clock.
  virtual Duration sleep_until(TimePoint deadline) const noexcept {
    const Duration::rep time = now().time_since_epoch().count();
    Duration::rep left = 0;
    const bool too_long = __builtin_sub_overflow(deadline.time_since_epoch().count(), time, &left);
    return too_long ? Duration::max() : Duration(left);
  }
};

}  // namespace event_cpp
