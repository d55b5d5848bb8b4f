// Lets a system call of this process fail when a test wants it to, and counts how often it is made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "event/options.hpp"

namespace event_cpp::test {

// What the library asks the system for. realloc is not a system call, but fails as well.
enum class Call : std::uint8_t {
  epoll_create1,
  epoll_ctl,
  epoll_wait,
  eventfd,
  fstat,
  kevent,
  kqueue,
  pipe,
  poll,
  ppoll,
  realloc,
  recv,
  send,
  sendfile,
  signalfd,
  splice,
  timerfd_create,
  timerfd_settime,
  waitid
};

// How attaching an event to a descriptor can fail.
constexpr Call attaching_on(Backend backend) {
  if (backend == Backend::epoll) return Call::epoll_ctl;
  return backend == Backend::kqueue ? Call::kevent : Call::fstat;
}

// What a base needs to be woken by, be it the backend's own queue.
constexpr Call making_the_wake_up(Backend backend) {
  if (EVENT_HAVE_EPOLL) return Call::eventfd;
  return backend == Backend::kqueue ? Call::kqueue : Call::pipe;
}

inline constexpr std::size_t kAlways = std::numeric_limits<std::size_t>::max();

// While it lives, the `nth` such call of this thread from now on fails with `error`, and so do the
// ones after it until `times` have; nothing else changes. Other threads do not notice. One at a
// time in a thread.
class FailingCall {
 public:
  FailingCall(Call call, int error, std::size_t nth = 1, std::size_t times = 1) noexcept;
  ~FailingCall();
  FailingCall(const FailingCall&) = delete;
  FailingCall& operator=(const FailingCall&) = delete;

  // How often it has failed. A test that lets the first, the second, the third ... call fail is
  // done when this stays 0.
  std::size_t failures() const noexcept;
};

// Counts such calls that this thread makes while it lives.
class CountingCall {
 public:
  explicit CountingCall(Call call) noexcept;

  std::size_t count() const noexcept;

 private:
  Call call_;
  std::size_t before_;
};

}  // namespace event_cpp::test
