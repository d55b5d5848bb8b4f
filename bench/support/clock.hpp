// Clocks, in nanoseconds, and the stopwatch of a run.
#pragma once

#include <cstdint>
#include <ctime>

#include "support/figures.hpp"

namespace bench {

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr std::int64_t kSecond = 1'000'000'000;

inline std::int64_t read_clock(clockid_t clock) noexcept {
  timespec time{};
  ::clock_gettime(clock, &time);
  return time.tv_sec * kSecond + time.tv_nsec;
}
inline std::int64_t now() noexcept { return read_clock(CLOCK_MONOTONIC); }

// Wall time and processor time of this thread, from construction on.
class Stopwatch {
 public:
  std::int64_t elapsed() const noexcept { return now() - wall_; }
  std::int64_t cpu() const noexcept { return read_clock(CLOCK_THREAD_CPUTIME_ID) - cpu_; }

  Figures per_operation(std::uint64_t operations) const {
    const auto wall = static_cast<double>(elapsed());
    const auto cpu_time = static_cast<double>(cpu());
    const auto count = static_cast<double>(operations);
    return {{"ops", count}, {"ns", wall / count}, {"cpu", cpu_time / count}};
  }

 private:
  std::int64_t cpu_ = read_clock(CLOCK_THREAD_CPUTIME_ID);
  std::int64_t wall_ = now();
};

}  // namespace bench
