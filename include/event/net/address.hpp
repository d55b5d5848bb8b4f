// Address: the address of a socket.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "event/detail/export.hpp"
#include "event/fwd.hpp"

namespace event_cpp::net {

// An IPv4 address and port, an IPv6 address with scope and port, the path of a Unix socket, or a
// name in Linux's abstract namespace of Unix sockets. A value that can be copied, compared and
// hashed. For host names see resolve(). Thread-safety: as any value. See ip(7), ipv6(7), unix(7).
class EVENT_API Address {
 public:
  // No address: family() is AF_UNSPEC.
  Address() noexcept : size_(0) { storage_.any.sa_family = AF_UNSPEC; }

  // All IPv4 and IPv6 addresses of this machine (::), or only IPv4 if there is no IPv6. With port 0
  // the system chooses a free one when the address is bound. Errors: all calls that take a port
  // throw std::system_error, std::errc::invalid_argument, unless it is in 0 ... 65535.
  static Address any(int port);
  static Address any_ipv4(int port);
  // This machine only: 127.0.0.1, ::1.
  static Address loopback(int port);
  static Address loopback_ipv6(int port);

  // A Unix socket at a path. Errors: throws std::system_error: std::errc::filename_too_long if the
  // path is longer than max_path() bytes; std::errc::invalid_argument if it is empty or has a zero
  // byte.
  static Address unix_path(std::string_view path);
  // A Unix socket in the abstract namespace; `name` is without the zero byte in front. Errors:
  // throws std::system_error: std::errc::filename_too_long; std::errc::not_supported outside Linux.
  static Address unix_abstract(std::string_view name);
  static constexpr std::size_t max_path() noexcept { return sizeof(sockaddr_un::sun_path) - 1; }

  // Parses one of these forms:
  //   127.0.0.1    127.0.0.1:80    ::1    [::1]    [::1]:80    fe80::1%eth0    [fe80::1%2]:80
  //   unix:/run/socket    unix:@abstract
  // `port` is used if the text has none. Returns std::nullopt for other text, such as a host name.
  // See inet_pton(3).
  static std::optional<Address> parse(std::string_view text, int port = 0);

  // From a sockaddr of the kernel. std::nullopt for another family, or if `size` is too small.
  static std::optional<Address> from(const sockaddr* address, socklen_t size) noexcept;

  // As text, with the port, in a form that parse() reads. A path such as "@name" begins with "./"
  // there, since "unix:@name" is an abstract name. Empty if there is no address. "unix:", which
  // parse() refuses, if a Unix socket has no name, as most clients.
  std::string text() const;
  // The IP address as text, without the port and without brackets: "127.0.0.1", "::1",
  // "fe80::1%2". Empty if it is not an IP address.
  std::string host() const;
  // Returns the IPv4 address of an IPv4-mapped one, such as "::ffff:192.0.2.1", which an IPv4
  // client of a socket bound to any() has; otherwise a copy.
  Address unmapped() const;

  int family() const noexcept { return storage_.any.sa_family; }
  bool is_ip() const noexcept { return family() == AF_INET || family() == AF_INET6; }
  bool is_unix() const noexcept { return family() == AF_UNIX; }
  bool is_loopback() const noexcept;
  // Zero if it is not an IP address.
  int port() const noexcept;
  // A copy with this port; an unchanged copy if it is not an IP address.
  Address with_port(int port) const;
  // The path of a Unix socket, or its abstract name without the zero byte in front; otherwise
  // empty.
  std::string_view path() const noexcept;
  bool is_abstract() const noexcept;

  // For bind(2), connect(2) and sendto(2).
  const sockaddr* data() const noexcept { return &storage_.any; }
  socklen_t size() const noexcept { return size_; }

  friend EVENT_API bool operator==(const Address& a, const Address& b) noexcept;
  friend EVENT_API std::strong_ordering operator<=>(const Address& a, const Address& b) noexcept;
  std::size_t hash() const noexcept;

 private:
  std::string_view key() const noexcept;

  union {
    sockaddr any;
    sockaddr_in ipv4;
    sockaddr_in6 ipv6;
    sockaddr_un local;
  } storage_{};
  socklen_t size_;  // NOLINT(modernize-use-default-member-init): beside the union
};

}  // namespace event_cpp::net

template <>
struct std::hash<event_cpp::net::Address> {
  std::size_t operator()(const event_cpp::net::Address& address) const noexcept {
    return address.hash();
  }
};
