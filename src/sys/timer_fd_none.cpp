#include <cerrno>

#include "sys/timer_fd.hpp"

namespace event_cpp::detail {

int TimerFd::open(Of) noexcept { return ENOTSUP; }

bool TimerFd::arm(Duration) noexcept { return false; }

void TimerFd::drain() const noexcept {}

TimePoint boot_time() noexcept { return std::chrono::steady_clock::now(); }

}  // namespace event_cpp::detail
