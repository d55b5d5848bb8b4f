#include <cerrno>

#include "backend/clock_timer.hpp"

namespace event_cpp::detail {

int ClockTimer::open(Of) noexcept { return ENOTSUP; }

bool ClockTimer::arm(Duration) noexcept { return false; }

void ClockTimer::drain() const noexcept {}

TimePoint boot_time() noexcept { return std::chrono::steady_clock::now(); }

}  // namespace event_cpp::detail
