// Kernel: the system calls of sockets, so that they can be simulated.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "event/base.hpp"
#include "event/detail/export.hpp"

namespace event_cpp::net {

// Derive from this to simulate a network instead of using the system's kernel. Its fds are below
// -4095, to tell them from real fds and from errors (-errno). Each function does what the system
// call of that name does, never blocks, and returns -errno instead of setting errno.
//
// It reports readiness with Event::activate(): see watch(). The base does not poll these fds.
//
// Thread-safety: belongs to the thread of the base that uses it. Lifetime: it outlives that base
// and every Socket that it made; the base outlives streams over such sockets.
class EVENT_API Kernel {
 public:
  virtual ~Kernel() = default;

  virtual int socket(int family, int type, int protocol) = 0;
  virtual int bind(int fd, const sockaddr* address, socklen_t size) = 0;
  virtual int listen(int fd, int backlog) = 0;
  virtual int connect(int fd, const sockaddr* address, socklen_t size) = 0;
  virtual int accept(int fd, sockaddr* address, socklen_t* size) = 0;
  virtual ssize_t recvmsg(int fd, msghdr* message, int flags) = 0;
  virtual ssize_t sendmsg(int fd, const msghdr* message, int flags) = 0;
  virtual int shutdown(int fd, int how) = 0;
  virtual int close(int fd) = 0;
  virtual int getsockopt(int fd, int level, int name, void* value, socklen_t* size) = 0;
  virtual int setsockopt(int fd, int level, int name, const void* value, socklen_t size) = 0;
  virtual int getsockname(int fd, sockaddr* address, socklen_t* size) = 0;
  virtual int getpeername(int fd, sockaddr* address, socklen_t* size) = 0;

  // Registers `event`, edge-triggered: activates it with Events::read, write or closed whenever the
  // fd becomes readable, writable or closed, and once for what the fd is now. At most one event for
  // each fd.
  virtual void watch(int fd, Event& event) = 0;
  virtual void unwatch(int fd, Event& event) noexcept = 0;
};

// Makes Socket::make() and all that is built on it use `kernel` for `base` from now on. Null, the
// default, means the system. `base` does not own the kernel. Errors: throws std::bad_alloc.
EVENT_API void set_kernel(Base& base, Kernel* kernel);
// The kernel of `base`; null if it is the system's.
EVENT_API Kernel* kernel_of(Base& base) noexcept;

namespace detail {

// Every system call on a socket goes through these functions: to the system for a real fd, to the
// Kernel for a simulated one. Each returns -errno on failure.
inline constexpr int kSystem = -1;  // fds below this are simulated
inline constexpr int kLowestError = -4095;

template <class T>
inline T result(T value) noexcept {
  return value < 0 ? -errno : value;
}

// Repeats f() while it returns -EINTR.
template <class F>
[[gnu::always_inline]] inline auto uninterrupted(F f) noexcept {
  auto io = f();
  while (io == -EINTR) [[unlikely]]
    io = f();
  return io;
}

// The Kernel of the simulated fds of this base.
EVENT_API Kernel& simulated(Base& base) noexcept;

[[gnu::cold]] EVENT_API ssize_t simulated_recv(Base& base, int fd, void* to, std::size_t size,
                                               int flags);
[[gnu::cold]] EVENT_API ssize_t simulated_send(Base& base, int fd, const void* from,
                                               std::size_t size, int flags);

inline ssize_t call_recv(Base& base, int fd, void* to, std::size_t size, int flags) noexcept {
  return uninterrupted([&] {
    return fd < kSystem ? simulated_recv(base, fd, to, size, flags)
                        : result(::recv(fd, to, size, flags));
  });
}
inline ssize_t call_send(Base& base, int fd, const void* from, std::size_t size,
                         int flags) noexcept {
  return uninterrupted([&] {
    return fd < kSystem ? simulated_send(base, fd, from, size, flags)
                        : result(::send(fd, from, size, flags));
  });
}
inline ssize_t call_sendmsg(Base& base, int fd, const msghdr* message, int flags) noexcept {
  return uninterrupted([&] {
    return fd < kSystem ? simulated(base).sendmsg(fd, message, flags)
                        : result(::sendmsg(fd, message, flags));
  });
}
inline ssize_t call_recvmsg(Base& base, int fd, msghdr* message, int flags) noexcept {
  return uninterrupted([&] {
    return fd < kSystem ? simulated(base).recvmsg(fd, message, flags)
                        : result(::recvmsg(fd, message, flags));
  });
}

}  // namespace detail
}  // namespace event_cpp::net
