#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>

#include "sys/deadline.hpp"
#include "sys/timer_fd.hpp"

namespace event_cpp::detail {

int TimerFd::open(Of clock) noexcept {
  const clockid_t id = clock == Of::wall ? CLOCK_REALTIME : CLOCK_BOOTTIME;
  UniqueFd fd = own_internal(::timerfd_create(id, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!fd) return errno;
  fd_ = std::move(fd);
  clock_ = clock;
  return 0;
}

bool TimerFd::arm(Duration since_epoch) noexcept {
  itimerspec when{};
  // A value of zero would disarm it, and the time of day may be before 1970.
  when.it_value = to_timespec(std::max(since_epoch, Duration(1)));
  const int cancel = clock_ == Of::wall ? TFD_TIMER_CANCEL_ON_SET : 0;
  if (::timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME | cancel, &when, nullptr) == 0) return true;
  // The clock was set in this moment. It is armed, and whoever arms looks at the clock.
  return errno == ECANCELED;
}

void TimerFd::drain() const noexcept {
  const NoCancellation now;
  std::uint64_t expirations = 0;
  while (::read(fd_.get(), &expirations, sizeof expirations) < 0 && errno == EINTR) {
  }
}

TimePoint boot_time() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return TimePoint(std::chrono::seconds(now.tv_sec) + Duration(now.tv_nsec));
}

}  // namespace event_cpp::detail
