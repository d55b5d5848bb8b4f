// The calls of poll(2) that the poll backend makes.
#pragma once

#include <poll.h>
#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <vector>

#include "sys/deadline.hpp"

namespace event_cpp::detail {

// ppoll(2), for its resolution, where there is one; else poll(2).
class PollCalls {
 public:
  // Returns how many are ready, or -1, and then errno says why.
  int wait(std::vector<pollfd>& polled, TimePoint deadline, bool block) {
    const auto count = static_cast<nfds_t>(polled.size());
    if (!block) return ::poll(polled.data(), count, 0);
    if (deadline == TimePoint::max()) return ::poll(polled.data(), count, -1);
#if EVENT_HAVE_PPOLL
    if (has_ppoll_) {
      const timespec left = to_timespec(time_left(deadline));
      const int ready = ::ppoll(polled.data(), count, &left, nullptr);
      // An old kernel says ENOSYS, and a filter of system calls EPERM.
      has_ppoll_ = ready >= 0 || (errno != ENOSYS && errno != EPERM);
      if (has_ppoll_) return ready;
    }
#endif
    return ::poll(polled.data(), count, to_poll_milliseconds(time_left(deadline)));
  }

  // The error of such a call, or 0 if a signal ended it. poll(2) takes no more fds than
  // RLIMIT_NOFILE allows now, though they are open.
  static int error_of_wait(std::size_t fds) noexcept {
    if (errno == EINTR) return 0;
    if (errno != EINVAL) return errno;
    rlimit limit{};
    const bool too_many = ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && fds > limit.rlim_cur;
    return too_many ? EMFILE : EINVAL;
  }

 private:
#if EVENT_HAVE_PPOLL
  bool has_ppoll_ = true;  // until this kernel says otherwise
#endif
};

}  // namespace event_cpp::detail
