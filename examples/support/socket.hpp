// The few things about TCP sockets that the servers need: listen, receive, send.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "unique_fd.hpp"

namespace support {

inline std::error_code last_error() noexcept { return {errno, std::system_category()}; }

inline bool would_block(const std::error_code& error) noexcept {
  return error == std::errc::operation_would_block ||
         error == std::errc::resource_unavailable_try_again;
}

inline bool set_option(int fd, int level, int name, int value) noexcept {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

inline UniqueFd open_socket(int family) noexcept {
  return UniqueFd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

inline bool bind_to(int fd, const auto& address) noexcept {
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

// An IPv6 socket that takes IPv4 connections as well; none where the system has no IPv6.
// Errors: throws std::system_error if the port cannot be had.
inline UniqueFd bind_dual_stack(std::uint16_t port) {
  UniqueFd fd = open_socket(AF_INET6);
  if (!fd || !set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0)) return {};
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(port);
  if (bind_to(fd.get(), any)) return fd;
  const std::error_code error = last_error();
  if (error == std::errc::address_not_available) return {};
  throw std::system_error(error, "port " + std::to_string(port));
}

inline UniqueFd bind_ipv4(std::uint16_t port) {
  UniqueFd fd = open_socket(AF_INET);
  if (!fd) throw std::system_error(last_error(), "socket");
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(port);
  if (bind_to(fd.get(), any)) return fd;
  throw std::system_error(last_error(), "port " + std::to_string(port));
}

// A non-blocking socket that listens on every address of this machine, IPv6 and IPv4; port 0 is
// any that is free. Errors: throws std::system_error.
inline UniqueFd listen_on(std::uint16_t port) {
  UniqueFd fd = bind_dual_stack(port);
  if (!fd) fd = bind_ipv4(port);
  // Two sockets can be bound to one port and only one of them listen, so this is the second place
  // where a port proves to be in use.
  if (::listen(fd.get(), SOMAXCONN) == 0) return fd;
  throw std::system_error(last_error(), "port " + std::to_string(port));
}

// The port that a socket is bound to.
inline std::uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::system_error(last_error(), "getsockname");
  }
  // The port is at the same place in both families.
  return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

// Without this, a small answer may wait in the kernel for the acknowledgement of the one before.
inline void send_without_delay(int fd) noexcept { set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); }

// Makes close() drop what the peer has not taken, instead of keeping it for a peer that does not
// read.
inline void drop_unsent_on_close(int fd) noexcept {
  const linger now{.l_onoff = 1, .l_linger = 0};
  (void)::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

// What one look at a socket came to. All empty: there is nothing to read yet.
struct Received {
  std::string_view bytes{};
  bool end = false;  // the peer has sent all that it will ever send
  std::error_code error{};
};

// Receives what is there, once: a read that does not fill `into` has drained the socket, and one
// that does lets other connections have their turn first, as the loop reports the rest again.
inline Received receive(int fd, std::span<char> into) noexcept {
  for (;;) {
    const ssize_t n = ::recv(fd, into.data(), into.size(), 0);
    if (n > 0) return {.bytes = {into.data(), static_cast<std::size_t>(n)}};
    if (n == 0) return {.end = true};
    const std::error_code error = last_error();
    if (would_block(error)) return {};
    if (error != std::errc::interrupted) return {.error = error};
  }
}

// Sends what the socket takes now, and leaves the rest in `bytes`: not all taken means full. A peer
// that is gone is an error and not a SIGPIPE.
[[nodiscard]] inline std::error_code send_some(int fd, std::string_view& bytes) noexcept {
  for (;;) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      return {};
    }
    const std::error_code error = last_error();
    if (would_block(error)) return {};
    if (error != std::errc::interrupted) return error;
  }
}

}  // namespace support
