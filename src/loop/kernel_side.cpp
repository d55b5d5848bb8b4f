#include "loop/kernel_side.hpp"

#include <cerrno>
#include <system_error>

namespace event_cpp::detail {

KernelSide::KernelSide(Backend backend)
    : poller_(choose_poller(backend)),
      files_(*poller_),
      batch_(traits().kernel_entry),
      waker_(*poller_) {}

void KernelSide::fail_to_wait(int error) {
  fail(error, error == EMFILE ? "waiting for events: RLIMIT_NOFILE is less than what is watched"
                              : "waiting for events");
}

void KernelSide::fail(int error, const char* what) {
  if (error == EBADF) {
    what = "waiting for events: a descriptor of the base's own was closed";
    poller_->abandon_fds();
    waker_.give_up();
  }
  throw std::system_error(error, std::system_category(), what);
}

}  // namespace event_cpp::detail
