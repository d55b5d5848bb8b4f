#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "sys/process_fd.hpp"

namespace event_cpp::detail {

// By number: a C library that has a function for it is younger than the kernel call, of Linux 5.3.
int open_process_fd(pid_t pid, UniqueFd& fd) noexcept {
  UniqueFd opened = own_internal(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!opened) return errno;
  fd = std::move(opened);
  return 0;
}

int signal_process(int process, int signo) noexcept {
  return ::syscall(SYS_pidfd_send_signal, process, signo, nullptr, 0) == 0 ? 0 : errno;
}

}  // namespace event_cpp::detail
