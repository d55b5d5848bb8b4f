// What programs and tests call, in a build that checks the library's use of descriptors: what they
// close or replace behind its back is not its fault, and what it has closed looks closed to them.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>

#include "closed/numbers.hpp"

extern "C" {

int close(int fd) {
  event_cpp::closed::taken(fd);
  return static_cast<int>(::syscall(SYS_close, fd));
}

int dup2(int from, int to) noexcept {
  if (from != to) event_cpp::closed::taken(to);
  return static_cast<int>(::syscall(SYS_dup2, from, to));
}

int dup3(int from, int to, int flags) noexcept {
  event_cpp::closed::taken(to);
  return static_cast<int>(::syscall(SYS_dup3, from, to, flags));
}

int close_range(unsigned first, unsigned last, int flags) noexcept {
  event_cpp::closed::taken_from(first, last);
  return static_cast<int>(::syscall(SYS_close_range, first, last, flags));
}

// A path is a descriptor to this call alone.
int fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  const long argument = va_arg(arguments, long);
  va_end(arguments);
  if (event_cpp::closed::owner_of(fd) == event_cpp::closed::Owner::poison) {
    errno = EBADF;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fcntl, fd, command, argument));
}

}  // extern "C"
