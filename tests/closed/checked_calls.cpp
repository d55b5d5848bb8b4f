// What the library calls in a build that checks its use of descriptors, in the place of the
// functions of the C library: symbols.txt gives them their names. Of descriptors
// that it opened itself, it may use only those that it has not closed; of others it may only ask
// whether they are ready, what file they are, and how they were opened.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>

#include "closed/numbers.hpp"

using event_cpp::closed::expect_not_poison;
using event_cpp::closed::expect_own;
using event_cpp::closed::opened;
using event_cpp::closed::Owner;

namespace {

void expect_readable(const char* call, int number) {
  const Owner is = event_cpp::closed::owner_of(number);
  const bool may_be_read =
      is == Owner::eventfd || is == Owner::timerfd || is == Owner::signalfd || is == Owner::taken;
  if (!may_be_read) event_cpp::closed::fail(call, number);
}

void expect_pollable(const char* call, const pollfd* polled, nfds_t count) {
  for (nfds_t i = 0; i < count; ++i) expect_not_poison(call, polled[i].fd);
}

}  // namespace

extern "C" {

int event_checked_close(int fd) { return event_cpp::closed::close_own(fd); }

int event_checked_dup3(int from, int to, int flags) {
  expect_own("dup3", from, Owner::epoll);
  expect_own("dup3", to, Owner::epoll);
  return static_cast<int>(::syscall(SYS_dup3, from, to, flags));
}

int event_checked_epoll_create1(int flags) { return opened(::epoll_create1(flags), Owner::epoll); }

int event_checked_epoll_ctl(int set, int operation, int fd, epoll_event* event) {
  expect_own("epoll_ctl", set, Owner::epoll);
  expect_not_poison("epoll_ctl", fd);
  return ::epoll_ctl(set, operation, fd, event);
}

int event_checked_epoll_wait(int set, epoll_event* events, int room, int timeout) {
  expect_own("epoll_wait", set, Owner::epoll);
  return ::epoll_wait(set, events, room, timeout);
}

int event_checked_eventfd(unsigned value, int flags) {
  return opened(::eventfd(value, flags), Owner::eventfd);
}

// Copies a descriptor of the library's own, or asks for the flags of any.
int event_checked_fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  const long argument = va_arg(arguments, long);
  va_end(arguments);
  const Owner is = event_cpp::closed::owner_of(fd);
  if (command == F_DUPFD_CLOEXEC) {
    if (is == Owner::unknown || is == Owner::poison) event_cpp::closed::fail("fcntl", fd);
    const int copy = static_cast<int>(::syscall(SYS_fcntl, fd, command, argument));
    return is == Owner::taken ? copy : opened(copy, is);
  }
  if (command != F_GETFL) event_cpp::closed::fail("fcntl", fd);
  if (is == Owner::poison) {
    errno = EBADF;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fcntl, fd, command, argument));
}

// Asks whether a number still stands for a user's file, which may have been closed, and the number
// the library's own for a while: it may be asked of any.
int event_checked_fstat(int fd, struct stat* status) {
  if (event_cpp::closed::owner_of(fd) == Owner::poison) {
    errno = EBADF;
    return -1;
  }
  return ::fstat(fd, status);
}

int event_checked_poll(pollfd* polled, nfds_t count, int timeout) {
  expect_pollable("poll", polled, count);
  return ::poll(polled, count, timeout);
}

int event_checked_ppoll(pollfd* polled, nfds_t count, const timespec* timeout,
                        const sigset_t* mask) {
  expect_pollable("ppoll", polled, count);
  return ::ppoll(polled, count, timeout, mask);
}

ssize_t event_checked_read(int fd, void* into, std::size_t size) {
  expect_readable("read", fd);
  return ::read(fd, into, size);
}

int event_checked_signalfd(int fd, const sigset_t* signals, int flags) {
  if (fd >= 0) expect_own("signalfd", fd, Owner::signalfd);
  return opened(::signalfd(fd, signals, flags), Owner::signalfd);
}

// pidfd_open(2) and pidfd_send_signal(2), the two that the library makes by number. The former has
// no third and fourth argument.
long event_checked_syscall(long number, int first, unsigned second, siginfo_t* info,
                           unsigned flags) {
  if (number == SYS_pidfd_open) {
    return opened(static_cast<int>(::syscall(number, first, second)), Owner::process);
  }
  if (number != SYS_pidfd_send_signal) {
    event_cpp::closed::fail("syscall", static_cast<int>(number));
  }
  expect_own("pidfd_send_signal", first, Owner::process);
  return ::syscall(number, first, second, info, flags);
}

int event_checked_timerfd_create(clockid_t clock, int flags) {
  return opened(::timerfd_create(clock, flags), Owner::timerfd);
}

int event_checked_timerfd_settime(int timer, int flags, const itimerspec* when,
                                  itimerspec* before) {
  expect_own("timerfd_settime", timer, Owner::timerfd);
  return ::timerfd_settime(timer, flags, when, before);
}

ssize_t event_checked_write(int fd, const void* from, std::size_t size) {
  expect_own("write", fd, Owner::eventfd);
  return ::write(fd, from, size);
}

}  // extern "C"
