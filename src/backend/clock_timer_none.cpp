#include <cerrno>

#include "backend/clock_timer.hpp"

namespace event::detail {

int ClockTimer::open(Of) noexcept { return ENOTSUP; }

void ClockTimer::arm(Duration) noexcept {}

void ClockTimer::drain() const noexcept {}

TimePoint boot_time() noexcept { return std::chrono::steady_clock::now(); }

}  // namespace event::detail
