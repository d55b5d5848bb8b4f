// A library to be preloaded (LD_PRELOAD, see ld.so(8)): it stands before the C library, and
// lets a call fail where the plan says so. Any program that is linked dynamically can be run with
// it; calls.hpp says how the plan is made.
#include "preload.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>

#include "faults.hpp"

using event_cpp::faults::Call;
using event_cpp::faults::Exempt;
using event_cpp::faults::fails;
using event_cpp::faults::Next;

namespace {

Call call_of(int epoll_operation) noexcept {
  if (epoll_operation == EPOLL_CTL_ADD) return Call::epoll_ctl_add;
  return epoll_operation == EPOLL_CTL_MOD ? Call::epoll_ctl_mod : Call::epoll_ctl_del;
}

Call call_of_option(int level, int name) noexcept {
  if (level == SOL_SOCKET && name == SO_LINGER) return Call::setsockopt_linger;
  const bool is_no_delay = level == IPPROTO_TCP && name == TCP_NODELAY;
  return is_no_delay ? Call::setsockopt_no_delay : Call::setsockopt;
}

// What can go wrong is not the same for a file, for a pipe, and for what the kernel counts in or
// a terminal, of which an EIO is the end.
Call call_of_read(int fd) noexcept {
  static constinit Next<int(int, struct stat*)> next("fstat");
  struct stat status {};
  if (next(fd, &status) != 0) return Call::read;
  if (S_ISREG(status.st_mode)) return Call::read_file;
  return S_ISFIFO(status.st_mode) ? Call::read_pipe : Call::read;
}

Call call_of_clock(clockid_t clock) noexcept {
  if (clock == CLOCK_REALTIME) return Call::timerfd_create_wall;
  return clock == CLOCK_BOOTTIME ? Call::timerfd_create_boottime : Call::timerfd_create_monotonic;
}

}  // namespace

extern "C" {

EVENT_FAILING(accept4, (int fd, sockaddr* to, socklen_t* size, int flags), (fd, to, size, flags))
EVENT_FAILING(bind, (int fd, const sockaddr* to, socklen_t size) noexcept, (fd, to, size))
EVENT_FAILING(epoll_create1, (int flags) noexcept, (flags))
EVENT_FAILING_AS(call_of(operation), epoll_ctl,
                 (int set, int operation, int fd, epoll_event* event) noexcept,
                 (set, operation, fd, event))
EVENT_FAILING(epoll_pwait2,
              (int set, epoll_event* events, int room, const timespec* timeout,
               const sigset_t* mask),
              (set, events, room, timeout, mask))
EVENT_FAILING(epoll_wait, (int set, epoll_event* events, int room, int timeout),
              (set, events, room, timeout))
EVENT_FAILING(eventfd, (unsigned value, int flags) noexcept, (value, flags))
EVENT_FAILING(fstat, (int fd, struct stat* status) noexcept, (fd, status))
EVENT_FAILING(getentropy, (void* into, size_t size), (into, size))
EVENT_FAILING(getpeername, (int fd, sockaddr* name, socklen_t* size) noexcept, (fd, name, size))
EVENT_FAILING(getsockname, (int fd, sockaddr* name, socklen_t* size) noexcept, (fd, name, size))
EVENT_FAILING(getsockopt, (int fd, int level, int name, void* value, socklen_t* size) noexcept,
              (fd, level, name, value, size))
EVENT_FAILING(listen, (int fd, int backlog) noexcept, (fd, backlog))
EVENT_FAILING(lstat, (const char* path, struct stat* status) noexcept, (path, status))
EVENT_FAILING(pipe, (int* ends) noexcept, (ends))
EVENT_FAILING(pipe2, (int* ends, int flags) noexcept, (ends, flags))
EVENT_FAILING(poll, (pollfd * polled, nfds_t count, int timeout), (polled, count, timeout))
EVENT_FAILING_AS(Call::poll, __poll_chk, (pollfd * polled, nfds_t count, int timeout, size_t size),
                 (polled, count, timeout, size))
EVENT_FAILING(ppoll, (pollfd * polled, nfds_t count, const timespec* timeout, const sigset_t* mask),
              (polled, count, timeout, mask))
EVENT_FAILING_AS(Call::ppoll, __ppoll_chk,
                 (pollfd * polled, nfds_t count, const timespec* timeout, const sigset_t* mask,
                  size_t size),
                 (polled, count, timeout, mask, size))
EVENT_FAILING_AS(call_of_option(level, name), setsockopt,
                 (int fd, int level, int name, const void* value, socklen_t size) noexcept,
                 (fd, level, name, value, size))
EVENT_FAILING(shutdown, (int fd, int how) noexcept, (fd, how))
EVENT_FAILING(socket, (int domain, int type, int protocol) noexcept, (domain, type, protocol))
EVENT_FAILING(socketpair, (int domain, int type, int protocol, int* fds) noexcept,
              (domain, type, protocol, fds))
EVENT_FAILING(stat, (const char* path, struct stat* status) noexcept, (path, status))
EVENT_FAILING_AS(call_of_clock(clock), timerfd_create, (clockid_t clock, int flags) noexcept,
                 (clock, flags))
EVENT_FAILING(unlink, (const char* path) noexcept, (path))

// The number is given back whatever it says, as Linux does.
[[gnu::visibility("default")]] int close(int fd) {
  static constinit Next<int(int)> next("close");
  const int result = next(fd);
  return fails(Call::close) ? -1 : result;
}

// One that a signal has interrupted goes on connecting.
[[gnu::visibility("default")]] int connect(int fd, const sockaddr* to, socklen_t size) {
  static constinit Next<int(int, const sockaddr*, socklen_t)> next("connect");
  if (!fails(Call::connect)) return next(fd, to, size);
  if (errno == EINTR) {
    static_cast<void>(next(fd, to, size));
    errno = EINTR;
  }
  return -1;
}

// What it does itself does not count.
[[gnu::visibility("default")]] int getaddrinfo(const char* host, const char* service,
                                               const addrinfo* hints, addrinfo** list) {
  static constinit Next<int(const char*, const char*, const addrinfo*, addrinfo**)> next(
      "getaddrinfo");
  if (fails(Call::getaddrinfo)) return EAI_SYSTEM;
  const Exempt exempt;
  return next(host, service, hints, list);
}

[[gnu::visibility("default")]] int pthread_create(pthread_t* thread,
                                                  const pthread_attr_t* attributes,
                                                  void* (*function)(void*), void* object) noexcept {
  static constinit Next<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)> next(
      "pthread_create");
  return fails(Call::pthread_create) ? errno : next(thread, attributes, function, object);
}

// pthread_atfork() is this function, since it is linked into each program.
[[gnu::visibility("default")]] int __register_atfork(void (*prepare)(), void (*parent)(),
                                                     void (*child)(), void* object) {
  static constinit Next<int(void (*)(), void (*)(), void (*)(), void*)> next("__register_atfork");
  return fails(Call::register_atfork) ? errno : next(prepare, parent, child, object);
}

// To ask, and to put back what was there before, cannot fail.
[[gnu::visibility("default")]] int sigaction(int signo, const struct sigaction* action,
                                             struct sigaction* former) noexcept {
  static constinit Next<int(int, const struct sigaction*, struct sigaction*)> next("sigaction");
  const bool may_fail = action != nullptr && former != nullptr;
  return may_fail && fails(Call::sigaction) ? -1 : next(signo, action, former);
}

// Nor can it be to change what one is for.
[[gnu::visibility("default")]] int signalfd(int fd, const sigset_t* signals, int flags) noexcept {
  static constinit Next<int(int, const sigset_t*, int)> next("signalfd");
  return fd < 0 && fails(Call::signalfd) ? -1 : next(fd, signals, flags);
}

// A timer is set although that says ECANCELED: the clock has been set meanwhile.
[[gnu::visibility("default")]] int timerfd_settime(int timer, int flags, const itimerspec* when,
                                                   itimerspec* before) noexcept {
  static constinit Next<int(int, int, const itimerspec*, itimerspec*)> next("timerfd_settime");
  if (!fails(Call::timerfd_settime)) return next(timer, flags, when, before);
  if (errno == ECANCELED) {
    static_cast<void>(next(timer, flags, when, before));
    errno = ECANCELED;
  }
  return -1;
}

[[gnu::visibility("default")]] ssize_t read(int fd, void* into, size_t size) {
  static constinit Next<ssize_t(int, void*, size_t)> next("read");
  return fails(call_of_read(fd)) ? -1 : next(fd, into, size);
}

[[gnu::visibility("default")]] ssize_t write(int fd, const void* from, size_t size) {
  static constinit Next<ssize_t(int, const void*, size_t)> next("write");
  return fails(Call::write) ? -1 : next(fd, from, size);
}

[[gnu::visibility("default")]] ssize_t recv(int fd, void* into, size_t size, int flags) {
  static constinit Next<ssize_t(int, void*, size_t, int)> next("recv");
  return fails(Call::recv) ? -1 : next(fd, into, size, flags);
}

[[gnu::visibility("default")]] ssize_t send(int fd, const void* from, size_t size, int flags) {
  static constinit Next<ssize_t(int, const void*, size_t, int)> next("send");
  return fails(Call::send) ? -1 : next(fd, from, size, flags);
}

[[gnu::visibility("default")]] ssize_t recvmsg(int fd, msghdr* message, int flags) {
  static constinit Next<ssize_t(int, msghdr*, int)> next("recvmsg");
  return fails(Call::recvmsg) ? -1 : next(fd, message, flags);
}

[[gnu::visibility("default")]] ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  static constinit Next<ssize_t(int, const msghdr*, int)> next("sendmsg");
  return fails(Call::sendmsg) ? -1 : next(fd, message, flags);
}

[[gnu::visibility("default")]] ssize_t pread(int fd, void* into, size_t size, off_t from) {
  static constinit Next<ssize_t(int, void*, size_t, off_t)> next("pread");
  return fails(Call::pread) ? -1 : next(fd, into, size, from);
}

[[gnu::visibility("default")]] ssize_t sendfile(int to, int from, off_t* offset,
                                                size_t size) noexcept {
  static constinit Next<ssize_t(int, int, off_t*, size_t)> next("sendfile");
  return fails(Call::sendfile) ? -1 : next(to, from, offset, size);
}

[[gnu::visibility("default")]] ssize_t splice(int from, off64_t* from_offset, int to,
                                              off64_t* to_offset, size_t size, unsigned flags) {
  static constinit Next<ssize_t(int, off64_t*, int, off64_t*, size_t, unsigned)> next("splice");
  return fails(Call::splice) ? -1 : next(from, from_offset, to, to_offset, size, flags);
}

[[gnu::visibility("default")]] ssize_t writev(int fd, const iovec* parts, int count) {
  static constinit Next<ssize_t(int, const iovec*, int)> next("writev");
  return fails(Call::writev) ? -1 : next(fd, parts, count);
}

[[gnu::visibility("default")]] ssize_t pwritev2(int fd, const iovec* parts, int count, off_t to,
                                                int flags) {
  static constinit Next<ssize_t(int, const iovec*, int, off_t, int)> next("pwritev2");
  return fails(Call::pwritev2) ? -1 : next(fd, parts, count, to, flags);
}

// These pass on as many arguments as there can be.
[[gnu::visibility("default")]] int open(const char* path, int flags, ...) {
  static constinit Next<int(const char*, int, unsigned)> next("open");
  va_list more;
  va_start(more, flags);
  const unsigned mode = va_arg(more, unsigned);
  va_end(more);
  return fails(Call::open) ? -1 : next(path, flags, mode);
}
EVENT_FAILING_AS(Call::open, __open_2, (const char* path, int flags), (path, flags))

[[gnu::visibility("default")]] int ioctl(int fd, unsigned long request, ...) noexcept {
  static constinit Next<int(int, unsigned long, void*)> next("ioctl");
  va_list more;
  va_start(more, request);
  void* const argument = va_arg(more, void*);
  va_end(more);
  return fails(Call::ioctl) ? -1 : next(fd, request, argument);
}

[[gnu::visibility("default")]] int fcntl(int fd, int command, ...) {
  static constinit Next<int(int, int, void*)> next("fcntl");
  va_list more;
  va_start(more, command);
  void* const argument = va_arg(more, void*);
  va_end(more);
  return fails(Call::fcntl) ? -1 : next(fd, command, argument);
}

}  // extern "C"
