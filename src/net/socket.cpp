#include "event/net/socket.hpp"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <limits>

#include "base/unique_fd.hpp"

namespace event_cpp::net {
namespace {

[[noreturn]] void fail(int error, const char* call) {
  throw std::system_error(error, std::system_category(), call);
}

// Every call on a socket, by its own kernel or the system's; -errno if it fails.
template <class System, class Simulated>
int on(const Socket& socket, System system, Simulated simulated) {
  if (socket.fd() < detail::kSystem) return simulated(*socket.kernel());
  return detail::result(system());
}

int set(const Socket& socket, int level, int name, const void* value, socklen_t size) {
  const int fd = socket.fd();
  return on(
      socket, [&] { return ::setsockopt(fd, level, name, value, size); },
      [&](Kernel& kernel) { return kernel.setsockopt(fd, level, name, value, size); });
}

template <class T>
void set(const Socket& socket, int level, int name, const T& value, const char* call) {
  const int error = set(socket, level, name, &value, sizeof value);
  if (error < 0) fail(-error, call);
}

int seconds(Duration time) {
  const auto rounded = std::chrono::ceil<std::chrono::seconds>(time).count();
  return static_cast<int>(
      std::clamp<std::chrono::seconds::rep>(rounded, 1, std::numeric_limits<std::int16_t>::max()));
}

void set_flags(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
      ::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
    fail(errno, "fcntl");
  }
}

void spare_signal([[maybe_unused]] int fd) noexcept {
#ifdef SO_NOSIGPIPE
  const int on = 1;
  static_cast<void>(::setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on));
#endif
}

template <class Call>
Address name_of(Call call, const char* what) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  const int error = call(reinterpret_cast<sockaddr*>(&storage), &size);
  if (error < 0) fail(-error, what);
  const auto address = Address::from(reinterpret_cast<sockaddr*>(&storage), size);
  if (!address) fail(EAFNOSUPPORT, what);
  return *address;
}

}  // namespace

Socket Socket::make(Base& base, int family, int type, int protocol) {
  if (Kernel* const kernel = kernel_of(base)) {
    const int fd = kernel->socket(family, type, protocol);
    if (fd >= detail::kLowestError) fail(fd < 0 ? -fd : EBADF, "event::net::Socket::make");
    return Socket(fd, kernel);
  }
#ifdef SOCK_CLOEXEC
  const int opened = ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
  Socket socket(event_cpp::detail::own_internal(opened).release());
  if (!socket) fail(errno, "socket");
#else
  Socket socket(event_cpp::detail::own_internal(::socket(family, type, protocol)).release());
  if (!socket) fail(errno, "socket");
  set_flags(socket.fd());
#endif
  spare_signal(socket.fd());
  return socket;
}

std::pair<Socket, Socket> Socket::pair() {
  std::array<int, 2> fds{};
#ifdef SOCK_CLOEXEC
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()) < 0) {
    fail(errno, "socketpair");
  }
  std::pair<Socket, Socket> sockets(fds[0], fds[1]);
#else
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, fds.data()) < 0) fail(errno, "socketpair");
  std::pair<Socket, Socket> sockets(fds[0], fds[1]);
  for (const int fd : fds) set_flags(fd);
#endif
  for (const int fd : fds) spare_signal(fd);
  return sockets;
}

Socket Socket::adopt(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0) {
    fail(errno, "event::net::Socket::adopt");
  }
  set_flags(fd);
  spare_signal(fd);
  return Socket(fd);
}

void Socket::close() noexcept {
  const int fd = std::exchange(fd_, -1);
  if (fd == -1) return;
  static_cast<void>(fd < detail::kSystem ? kernel_->close(fd) : ::close(fd));
}

void Socket::bind(const Address& address) {
  const int error = on(
      *this, [&] { return ::bind(fd_, address.data(), address.size()); },
      [&](Kernel& kernel) { return kernel.bind(fd_, address.data(), address.size()); });
  if (error < 0) {
    throw std::system_error(-error, std::system_category(), "bind to " + address.text());
  }
}

void Socket::listen(int backlog) {
  const int error = on(
      *this, [&] { return ::listen(fd_, backlog); },
      [&](Kernel& kernel) { return kernel.listen(fd_, backlog); });
  if (error < 0) fail(-error, "listen");
}

bool Socket::connect(const Address& address) {
  const int error = on(
      *this, [&] { return ::connect(fd_, address.data(), address.size()); },
      [&](Kernel& kernel) { return kernel.connect(fd_, address.data(), address.size()); });
  if (error == 0) return true;
  if (error == -EINPROGRESS || error == -EINTR) return false;
  throw std::system_error(-error, std::system_category(), "connect to " + address.text());
}

std::error_code Socket::error() const noexcept {
  int pending = 0;
  socklen_t size = sizeof pending;
  const int error = on(
      *this, [&] { return ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &pending, &size); },
      [&](Kernel& kernel) {
        return kernel.getsockopt(fd_, SOL_SOCKET, SO_ERROR, &pending, &size);
      });
  return {error < 0 ? -error : pending, std::system_category()};
}

void Socket::shutdown(int how) {
  const int error = on(
      *this, [&] { return ::shutdown(fd_, how); },
      [&](Kernel& kernel) { return kernel.shutdown(fd_, how); });
  if (error < 0) fail(-error, "shutdown");
}

Address Socket::address() const {
  return name_of(
      [this](sockaddr* address, socklen_t* size) {
        return on(
            *this, [&] { return ::getsockname(fd_, address, size); },
            [&](Kernel& kernel) { return kernel.getsockname(fd_, address, size); });
      },
      "getsockname");
}

Address Socket::peer() const {
  return name_of(
      [this](sockaddr* address, socklen_t* size) {
        return on(
            *this, [&] { return ::getpeername(fd_, address, size); },
            [&](Kernel& kernel) { return kernel.getpeername(fd_, address, size); });
      },
      "getpeername");
}

void Socket::set_option(int level, int name, int value) {
  set(*this, level, name, value, "setsockopt");
}

void Socket::set_no_delay(bool on) { set_option(IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0); }
void Socket::set_keep_alive(bool on) { set_option(SOL_SOCKET, SO_KEEPALIVE, on ? 1 : 0); }
void Socket::set_keep_alive(AnyDuration idle, AnyDuration interval, int probes) {
#ifdef TCP_KEEPIDLE
  set_option(IPPROTO_TCP, TCP_KEEPIDLE, seconds(idle));
#else
  set_option(IPPROTO_TCP, TCP_KEEPALIVE, seconds(idle));
#endif
  set_option(IPPROTO_TCP, TCP_KEEPINTVL, seconds(interval));
  set_option(IPPROTO_TCP, TCP_KEEPCNT, probes);
  set_keep_alive(true);
}
void Socket::set_reuse_address(bool on) { set_option(SOL_SOCKET, SO_REUSEADDR, on ? 1 : 0); }
void Socket::set_reuse_port(bool on) { set_option(SOL_SOCKET, SO_REUSEPORT, on ? 1 : 0); }
void Socket::set_ipv6_only(bool on) { set_option(IPPROTO_IPV6, IPV6_V6ONLY, on ? 1 : 0); }
void Socket::set_broadcast(bool on) { set_option(SOL_SOCKET, SO_BROADCAST, on ? 1 : 0); }
void Socket::set_receive_buffer(int bytes) { set_option(SOL_SOCKET, SO_RCVBUF, bytes); }
void Socket::set_send_buffer(int bytes) { set_option(SOL_SOCKET, SO_SNDBUF, bytes); }
void Socket::set_reset_on_close() {
  set(*this, SOL_SOCKET, SO_LINGER, linger{1, 0}, "setsockopt: SO_LINGER");
}

PeerCredentials Socket::peer_credentials() const {
#if defined(SO_PEERCRED) && defined(__linux__)
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd_, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) {
    fail(errno, "getsockopt: SO_PEERCRED");
  }
  return {credentials.pid, credentials.uid, credentials.gid};
#elif defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__) || \
    defined(__DragonFly__) || defined(__APPLE__)
  PeerCredentials credentials;
  if (::getpeereid(fd_, &credentials.uid, &credentials.gid) < 0) fail(errno, "getpeereid");
  return credentials;
#else
  fail(ENOTSUP, "event::net::Socket::peer_credentials");
#endif
}

}  // namespace event_cpp::net
