// Deadlines in the units that kernels want. Rounded up: a wait never ends early.
#pragma once

#include <climits>
#include <ctime>
#include <limits>

#include "event/time.hpp"

namespace event_cpp::detail {

// Requires: not negative. More than a time_t of 32 bits holds, some 68 years, is the most it holds:
// the wait then ends early and is begun again.
constexpr timespec to_timespec(Duration d) noexcept {
  constexpr Duration::rep kSecond = 1'000'000'000;
  constexpr auto kMost = std::numeric_limits<decltype(timespec::tv_sec)>::max();
  timespec result{};
  const Duration::rep seconds = d.count() / kSecond;
  result.tv_sec = seconds < kMost ? static_cast<decltype(result.tv_sec)>(seconds) : kMost;
  result.tv_nsec = static_cast<decltype(result.tv_nsec)>(d.count() % kSecond);
  return result;
}

// What is left until a deadline; zero if it has passed.
inline Duration time_left(TimePoint deadline) noexcept {
  const TimePoint now = std::chrono::steady_clock::now();
  return deadline > now ? deadline - now : Duration::zero();
}

// As poll(2) and epoll_wait(2) take it. More than an int holds, some 24 days, is the most it holds:
// the wait then ends early and is begun again.
constexpr int to_poll_milliseconds(Duration d) noexcept {
  constexpr Duration::rep kMillisecond = 1'000'000;
  const Duration::rep whole = d.count() / kMillisecond + (d.count() % kMillisecond != 0 ? 1 : 0);
  return whole < INT_MAX ? static_cast<int>(whole) : INT_MAX;
}

static_assert(to_poll_milliseconds(Duration(0)) == 0 && to_poll_milliseconds(Duration(1)) == 1);
static_assert(to_poll_milliseconds(Duration(1'000'000)) == 1);
static_assert(to_poll_milliseconds(Duration::max()) == INT_MAX);
static_assert(to_timespec(Duration(1'000'000'001)).tv_nsec == 1);

// Requires: `by` is not negative; a sum that is too late is TimePoint::max().
inline TimePoint later(TimePoint from, Duration by) noexcept {
  Duration::rep sum = 0;
  const bool too_late = __builtin_add_overflow(from.time_since_epoch().count(), by.count(), &sum);
  return too_late ? TimePoint::max() : TimePoint(Duration(sum));
}

// Zero if `to` is not after `from`; the wall clock may be before 1970, and then the difference too
// much for a number.
inline Duration between(TimePoint from, TimePoint to) noexcept {
  if (to <= from) return Duration::zero();
  Duration::rep time = 0;
  const bool too_much =
      __builtin_sub_overflow(to.time_since_epoch().count(), from.time_since_epoch().count(), &time);
  return too_much ? Duration::max() : Duration(time);
}

}  // namespace event_cpp::detail
