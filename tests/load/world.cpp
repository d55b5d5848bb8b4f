#include "load/world.hpp"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

namespace load {

namespace {

// Half of what the kernel lets wait for accept().
std::size_t half_of_accept_queue() {
  std::size_t limit = 128;
  std::ifstream("/proc/sys/net/core/somaxconn") >> limit;
  return std::min<std::size_t>(limit, 2048) / 2;
}

sockaddr_in loopback(std::uint32_t number, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + number);
  return address;
}

void set(int fd, int level, int name, int value) {
  (void)::setsockopt(fd, level, name, &value, sizeof value);
}

}  // namespace

World::World(std::uint16_t port, std::uint64_t seed, double scale)
    : material(seed),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      port_(port),
      scale_(scale),
      random_(seed),
      queue_(half_of_accept_queue()) {
  if (!epoll_) throw std::system_error(errno, std::system_category(), "epoll_create1");
}

std::uint64_t World::between(std::uint64_t least, std::uint64_t most) {
  return std::uniform_int_distribution<std::uint64_t>(least, most)(random_);
}

Span World::span(Span least, Span most) {
  const auto drawn =
      between(static_cast<std::uint64_t>(least.count()), static_cast<std::uint64_t>(most.count()));
  return Span(static_cast<Span::rep>(static_cast<double>(drawn) * scale_));
}

UniqueFd World::connect() {
  constexpr std::uint32_t kSources = 64;
  constexpr int kReceive = 8 * 1024;  // small, so that the server meets full ones
  constexpr int kSend = 16 * 1024;
  // As on an Ethernet: for segments of loopback's 64 KiB the server's kernel buffers megabytes.
  constexpr int kSegment = 1400;
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fd;
  set(fd.get(), SOL_SOCKET, SO_RCVBUF, kReceive);
  set(fd.get(), SOL_SOCKET, SO_SNDBUF, kSend);
  set(fd.get(), IPPROTO_TCP, TCP_MAXSEG, kSegment);
  set(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  set(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  const sockaddr_in from = loopback(1 + source_++ % kSources, 0);
  const sockaddr_in to = loopback(0, port_);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&from), sizeof from) != 0) return {};
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 &&
      errno != EINPROGRESS) {
    return {};
  }
  return fd;
}

}  // namespace load
