// What the library calls in a build that checks its use of descriptors, in the place of the
// functions of the C library: symbols.txt gives them their names. Of descriptors
// that it opened itself, it may use only those that it has not closed; of others it may only ask
// whether they are ready, and what file they are.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>

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

// pidfd_open(2), the one call that the library makes by number.
long event_checked_syscall(long number, pid_t pid, unsigned flags) {
  if (number != SYS_pidfd_open) event_cpp::closed::fail("syscall", static_cast<int>(number));
  return opened(static_cast<int>(::syscall(number, pid, flags)), Owner::process);
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
