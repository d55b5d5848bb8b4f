// Defines the functions of the C library that the library under test calls: as long as it is linked
// statically, it calls these, and they pass on to the real ones.
#include "support/failing_call.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if EVENT_HAVE_EPOLL
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#endif

#if EVENT_HAVE_KQUEUE
#include <sys/event.h>
#endif

#include <array>
#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <cstring>

// Of realloc(): it is called before the sanitizers are ready for code of theirs in a new thread.
#define EVENT_NOT_SANITIZED __attribute__((no_sanitize("address", "thread", "undefined")))

namespace event_cpp::test {
namespace {

constexpr std::size_t kCalls = static_cast<std::size_t>(Call::waitid) + 1;

struct Fault {
  bool active = false;
  Call call{};
  int error = 0;
  std::size_t successes_left = 0;
  std::size_t failures_left = 0;
  std::size_t failures = 0;
};

thread_local Fault fault;
thread_local std::size_t call_counts[kCalls] = {};

// True if this call is to fail; errno is set then.
EVENT_NOT_SANITIZED bool fails(Call call) noexcept {
  ++call_counts[static_cast<std::size_t>(call)];
  if (!fault.active || fault.call != call) return false;
  if (fault.successes_left > 0) {
    --fault.successes_left;
    return false;
  }
  if (fault.failures_left == 0) return false;
  --fault.failures_left;
  ++fault.failures;
  errno = fault.error;
  return true;
}

// What would be called were it not for this file: a sanitizer's function, else the C library's.
void* find(const char* name) noexcept {
  std::array<char, 64> interceptor{"__interceptor_"};
  std::strncat(interceptor.data(), name, interceptor.size() - std::strlen(interceptor.data()) - 1);
  void* const found = ::dlsym(RTLD_DEFAULT, interceptor.data());
  return found != nullptr ? found : ::dlsym(RTLD_NEXT, name);
}

template <class Function>
Function* real(const char* name) noexcept {
  return reinterpret_cast<Function*>(find(name));
}

}  // namespace

FailingCall::FailingCall(Call call, int error, std::size_t nth, std::size_t times) noexcept {
  assert(!fault.active && "one at a time");
  fault = {true, call, error, nth - 1, times, 0};
}

FailingCall::~FailingCall() { fault.active = false; }

std::size_t FailingCall::failures() const noexcept { return fault.failures; }

CountingCall::CountingCall(Call call) noexcept
    : call_(call), before_(call_counts[static_cast<std::size_t>(call)]) {}

std::size_t CountingCall::count() const noexcept {
  return call_counts[static_cast<std::size_t>(call_)] - before_;
}

}  // namespace event_cpp::test

using event_cpp::test::Call;
using event_cpp::test::fails;
using event_cpp::test::real;

extern "C" {

int fstat(int fd, struct stat* status) {
  static auto* const next = real<int(int, struct stat*)>("fstat");
  return fails(Call::fstat) ? -1 : next(fd, status);
}

int pipe(int* ends) {
  static auto* const next = real<int(int*)>("pipe");
  return fails(Call::pipe) ? -1 : next(ends);
}

int poll(pollfd* polled, nfds_t count, int timeout) {
  static auto* const next = real<int(pollfd*, nfds_t, int)>("poll");
  return fails(Call::poll) ? -1 : next(polled, count, timeout);
}

ssize_t recv(int fd, void* into, size_t size, int flags) {
  static auto* const next = real<ssize_t(int, void*, size_t, int)>("recv");
  return fails(Call::recv) ? -1 : next(fd, into, size, flags);
}

ssize_t send(int fd, const void* from, size_t size, int flags) {
  static auto* const next = real<ssize_t(int, const void*, size_t, int)>("send");
  return fails(Call::send) ? -1 : next(fd, from, size, flags);
}

int waitid(idtype_t type, id_t id, siginfo_t* info, int options) {
  static auto* const next = real<int(idtype_t, id_t, siginfo_t*, int)>("waitid");
  return fails(Call::waitid) ? -1 : next(type, id, info, options);
}

EVENT_NOT_SANITIZED void* realloc(void* memory, std::size_t size) {
  static auto* const next = real<void*(void*, std::size_t)>("realloc");
  return fails(Call::realloc) ? nullptr : next(memory, size);
}

#if EVENT_HAVE_KQUEUE
// On Linux there is but the model, in this program.
int kqueue() {
#if defined(__linux__)
  static constexpr auto* next = &kqueue_model_open;
#else
  static auto* const next = real<int()>("kqueue");
#endif
  return fails(Call::kqueue) ? -1 : next();
}

int kevent(int queue, const struct kevent* changes, int change_count, struct kevent* events,
           int room, const timespec* timeout) {
#if defined(__linux__)
  static constexpr auto* next = &kqueue_model_kevent;
#else
  static auto* const next =
      real<int(int, const struct kevent*, int, struct kevent*, int, const timespec*)>("kevent");
#endif
  if (fails(Call::kevent)) return -1;
  return next(queue, changes, change_count, events, room, timeout);
}
#endif

#if EVENT_HAVE_PPOLL
int ppoll(pollfd* polled, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  static auto* const next = real<int(pollfd*, nfds_t, const timespec*, const sigset_t*)>("ppoll");
  return fails(Call::ppoll) ? -1 : next(polled, count, timeout, mask);
}
#endif

#if EVENT_HAVE_EPOLL
int epoll_create1(int flags) {
  static auto* const next = real<int(int)>("epoll_create1");
  return fails(Call::epoll_create1) ? -1 : next(flags);
}

int epoll_ctl(int set, int operation, int fd, epoll_event* event) {
  static auto* const next = real<int(int, int, int, epoll_event*)>("epoll_ctl");
  return fails(Call::epoll_ctl) ? -1 : next(set, operation, fd, event);
}

int epoll_wait(int set, epoll_event* events, int room, int timeout) {
  static auto* const next = real<int(int, epoll_event*, int, int)>("epoll_wait");
  return fails(Call::epoll_wait) ? -1 : next(set, events, room, timeout);
}

int eventfd(unsigned int value, int flags) {
  static auto* const next = real<int(unsigned int, int)>("eventfd");
  return fails(Call::eventfd) ? -1 : next(value, flags);
}

ssize_t sendfile(int to, int from, off_t* offset, size_t size) {
  static auto* const next = real<ssize_t(int, int, off_t*, size_t)>("sendfile");
  return fails(Call::sendfile) ? -1 : next(to, from, offset, size);
}

ssize_t splice(int from, off64_t* from_offset, int to, off64_t* to_offset, size_t size,
               unsigned flags) {
  static auto* const next = real<ssize_t(int, off64_t*, int, off64_t*, size_t, unsigned)>("splice");
  return fails(Call::splice) ? -1 : next(from, from_offset, to, to_offset, size, flags);
}

int signalfd(int fd, const sigset_t* signals, int flags) {
  static auto* const next = real<int(int, const sigset_t*, int)>("signalfd");
  return fails(Call::signalfd) ? -1 : next(fd, signals, flags);
}

int timerfd_create(clockid_t clock, int flags) {
  static auto* const next = real<int(clockid_t, int)>("timerfd_create");
  return fails(Call::timerfd_create) ? -1 : next(clock, flags);
}

int timerfd_settime(int timer, int flags, const itimerspec* when, itimerspec* before) {
  static auto* const next = real<int(int, int, const itimerspec*, itimerspec*)>("timerfd_settime");
  return fails(Call::timerfd_settime) ? -1 : next(timer, flags, when, before);
}
#endif

}  // extern "C"
