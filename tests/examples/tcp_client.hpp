// TcpClient: a client that blocks, within bounds, and does not use this library.
#pragma once

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/unique_fd.hpp"
#include "child_process.hpp"
#include "support/uninterrupted.hpp"

namespace examples_test {

using event_cpp::test::uninterrupted;

enum class Family { ipv4, ipv6 };

class TcpClient {
 public:
  struct Options {
    Family family = Family::ipv4;
    int receive_buffer = 0;  // of the kernel, in bytes; 0: as large as it likes
  };

  // Connects to this machine. Errors: throws std::system_error.
  explicit TcpClient(std::uint16_t port) : TcpClient(port, Options{}) {}
  TcpClient(std::uint16_t port, const Options& options)
      : fd_(::socket(options.family == Family::ipv4 ? AF_INET : AF_INET6,
                     SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (!fd_) throw_errno("socket");
    const timeval patience{.tv_sec = kPatience.count(), .tv_usec = 0};
    set_option(SO_RCVTIMEO, patience);
    set_option(SO_SNDTIMEO, patience);
    if (options.receive_buffer > 0) set_option(SO_RCVBUF, options.receive_buffer);
    if (options.family == Family::ipv4) {
      connect(sockaddr_in{.sin_family = AF_INET,
                          .sin_port = htons(port),
                          .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)},
                          .sin_zero = {}});
    } else {
      connect(sockaddr_in6{.sin6_family = AF_INET6,
                           .sin6_port = htons(port),
                           .sin6_flowinfo = 0,
                           .sin6_addr = in6addr_loopback,
                           .sin6_scope_id = 0});
    }
  }

  int fd() const noexcept { return fd_.get(); }

  // Errors: throws std::system_error.
  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t n =
          uninterrupted([&] { return ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL); });
      if (n < 0) throw_errno("send");
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  // More than the buffers of a few sockets hold together, each 32 MiB at most on some systems.
  static constexpr std::size_t kMoreThanSocketsHold = std::size_t{512} << 20;

  // Sends until the kernel has had no room for a while, or `limit` bytes; returns how many.
  std::size_t send_until_blocked(std::size_t limit = kMoreThanSocketsHold) const {
    const std::string block(64 * 1024, 'x');
    std::size_t total = 0;
    while (total < limit) {
      pollfd room{fd(), POLLOUT, 0};
      if (uninterrupted([&] { return ::poll(&room, 1, kHasNoRoomAfter); }) <= 0) break;
      const ssize_t n = uninterrupted(
          [&] { return ::send(fd(), block.data(), block.size(), MSG_NOSIGNAL | MSG_DONTWAIT); });
      if (n < 0) break;
      total += static_cast<std::size_t>(n);
    }
    return total;
  }

  // Says that nothing more will be sent.
  void finish() const {
    if (::shutdown(fd(), SHUT_WR) != 0) throw_errno("shutdown");
  }

  // Exactly so many bytes, or what comes before the end. Errors: throws std::system_error.
  std::string receive(std::size_t size) const {
    std::string bytes(size, '\0');
    std::size_t got = 0;
    while (got < size) {
      const ssize_t n =
          uninterrupted([&] { return ::recv(fd(), bytes.data() + got, size - got, 0); });
      if (n < 0) throw_errno("recv");
      if (n == 0) break;
      got += static_cast<std::size_t>(n);
    }
    bytes.resize(got);
    return bytes;
  }

  // Up to and with the next line end, or what comes before the end of the stream.
  std::string receive_line() const {
    std::string line;
    while (line.empty() || line.back() != '\n') {
      const std::string next = receive(1);
      if (next.empty()) break;
      line += next;
    }
    return line;
  }

  // All there is until the end. Errors: throws std::system_error, also for a reset.
  std::string receive_all() const {
    std::string all;
    for (std::string some = receive(64 * 1024);; some = receive(64 * 1024)) {
      all += some;
      if (some.size() < 64 * 1024) return all;
    }
  }

  // Sends, and says whether the same comes back.
  bool echoes(std::string_view bytes) const {
    send(bytes);
    return receive(bytes.size()) == bytes;
  }

  // Whether the other side is gone for good, or goes soon; reads nothing.
  bool dropped_within(std::chrono::milliseconds time) const {
    pollfd gone{fd(), 0, 0};
    return uninterrupted([&] { return ::poll(&gone, 1, static_cast<int>(time.count())); }) == 1 &&
           (gone.revents & (POLLHUP | POLLERR)) != 0;
  }

  // Whether there is something to read, or the end, within a time.
  bool readable_within(std::chrono::milliseconds time) const {
    pollfd something{fd(), POLLIN, 0};
    return uninterrupted([&] { return ::poll(&something, 1, static_cast<int>(time.count())); }) ==
           1;
  }

  void set_non_blocking() const {
    if (::fcntl(fd(), F_SETFL, O_NONBLOCK) != 0) throw_errno("fcntl");
  }

  // Ends the connection with a reset, whatever is under way.
  void reset() {
    set_option(SO_LINGER, linger{.l_onoff = 1, .l_linger = 0});
    fd_ = UniqueFd();
  }

 private:
  // Only those wait so long whose peer does not read.
  static constexpr int kHasNoRoomAfter = 500;

  template <class T>
  void set_option(int name, const T& value) const {
    if (::setsockopt(fd(), SOL_SOCKET, name, &value, sizeof value) != 0) throw_errno("setsockopt");
  }

  template <class Address>
  void connect(const Address& address) const {
    if (::connect(fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return;
    if (errno != EINTR) throw_errno("connect");
    // Interrupted, it goes on by itself.
    pollfd polled{fd(), POLLOUT, 0};
    static_cast<void>(uninterrupted([&] { return ::poll(&polled, 1, -1); }));
    socklen_t size = sizeof errno;
    if (::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &errno, &size) != 0 || errno != 0) {
      throw_errno("connect");
    }
  }

  UniqueFd fd_;
};

// Whether this machine has the loopback address of IPv6.
inline bool has_ipv6() {
  const UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  return fd && ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace examples_test
