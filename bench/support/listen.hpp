// What the servers and their client agree on.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>

#include "support/system.hpp"

namespace bench {

inline constexpr std::size_t kMessage = 64;
inline constexpr std::size_t kBulk = std::size_t{1} << 20;
// What is sent of it. Where it begins in a page decides how fast it is copied.
alignas(4096) inline constexpr std::array<char, kBulk> bulk{};

struct Listening {
  int fd;
  int port;
};

inline Listening listen_on_loopback() {
  const int listener = checked(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), "socket");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  checked(::bind(listener, generic, size), "bind");
  checked(::listen(listener, 4096), "listen");
  checked(::getsockname(listener, generic, &size), "getsockname");
  return {listener, ntohs(address.sin_port)};
}

inline void send_at_once(int connection) {
  const int on = 1;
  ::setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace bench
