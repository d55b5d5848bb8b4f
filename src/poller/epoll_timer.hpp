// The timerfd that ends the waits of epoll(7) at a deadline.
#pragma once

#include <sys/timerfd.h>

#include <algorithm>

#include "base/unique_fd.hpp"
#include "event/time.hpp"
#include "sys/deadline.hpp"

namespace event_cpp::detail {

// It is watched for edges and never read, and it is left alone when the deadline moves later: one
// early wake-up costs less than a call each time. epoll_pwait2() would add the thread's timer
// slack, 50 us by default, to every wait.
class EpollTimer {
 public:
  // Opens it, anew if it is open. There is none if the system has none to give.
  void open() noexcept {
    fd_ = own_internal(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    armed_ = TimePoint::max();
  }
  void close() noexcept { fd_ = UniqueFd(); }
  void abandon() noexcept { static_cast<void>(fd_.release()); }

  explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
  int fd() const noexcept { return fd_.get(); }

  // When it expires; TimePoint::max(): never.
  TimePoint armed() const noexcept { return armed_; }

  // It may have expired.
  void forget() noexcept { armed_ = TimePoint::max(); }

  // Makes it expire at `deadline`. Returns false if the system refuses.
  bool arm(TimePoint deadline) noexcept {
    if (!fd_) return false;
    itimerspec when{};
    // A value of zero would disarm it.
    when.it_value = to_timespec(std::max(deadline.time_since_epoch(), Duration(1)));
    if (::timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &when, nullptr) != 0) return false;
    armed_ = deadline;
    return true;
  }

 private:
  UniqueFd fd_;
  TimePoint armed_ = TimePoint::max();
};

}  // namespace event_cpp::detail
