#include "dns/order.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <system_error>

#include "dns/shortage.hpp"
#include "event/net/socket.hpp"

namespace event_cpp::dns::detail {
namespace {

using Bits = std::array<std::uint8_t, 16>;

Bits as_v6(const Ip& ip) {
  if (ip.is_v6) return ip.bytes;
  Bits mapped{};
  mapped[10] = mapped[11] = 0xff;
  std::copy_n(ip.bytes.begin(), 4, mapped.begin() + 12);
  return mapped;
}

int common_prefix(const Bits& a, const Bits& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto differ = static_cast<std::uint8_t>(a[i] ^ b[i]);
    if (differ != 0) return static_cast<int>(8 * i) + std::countl_zero(differ);
  }
  return 128;
}

struct Policy {
  Bits prefix;
  int length;
  std::uint8_t precedence;
  std::uint8_t label;
};

// Section 2.1, the longest prefixes first.
constexpr Policy kPolicies[] = {
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, 50, 0},  // ::1
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, 35, 4},         // IPv4
    {{}, 96, 1, 3},
    {{0x20, 0x01}, 32, 5, 5},   // Teredo
    {{0x20, 0x02}, 16, 30, 2},  // 6to4
    {{0x3f, 0xfe}, 16, 1, 12},
    {{0xfe, 0xc0}, 10, 1, 11},
    {{0xfc}, 7, 3, 13},  // unique local
    {{}, 0, 40, 1},
};

const Policy& policy_of(const Ip& ip) {
  const Bits bits = as_v6(ip);
  return *std::find_if(std::begin(kPolicies), std::end(kPolicies), [&](const Policy& policy) {
    return common_prefix(policy.prefix, bits) >= policy.length;
  });
}

// Sections 3.1 and 3.2.
std::uint8_t scope_of(const Ip& ip) {
  constexpr std::uint8_t kLink = 2;
  constexpr std::uint8_t kSite = 5;
  constexpr std::uint8_t kGlobal = 14;
  const auto& b = ip.bytes;
  if (!ip.is_v6) return b[0] == 127 || (b[0] == 169 && b[1] == 254) ? kLink : kGlobal;
  if (b[0] == 0xff) return b[1] & 0xf;
  const bool is_loopback = ip.bytes == kPolicies[0].prefix;
  if (is_loopback || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80)) return kLink;
  if (b[0] == 0xfe && (b[1] & 0xc0) == 0xc0) return kSite;
  return kGlobal;
}

}  // namespace

Ip Ip::of(const net::Address& address) {
  Ip ip;
  ip.is_v6 = address.family() == AF_INET6;
  if (ip.is_v6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, address.data(), sizeof v6);
    std::memcpy(ip.bytes.data(), &v6.sin6_addr, sizeof v6.sin6_addr);
  } else {
    sockaddr_in v4{};
    std::memcpy(&v4, address.data(), sizeof v4);
    std::memcpy(ip.bytes.data(), &v4.sin_addr, sizeof v4.sin_addr);
  }
  return ip;
}

net::Address Ip::with_port(int port) const {
  if (is_v6) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(static_cast<std::uint16_t>(port));
    std::memcpy(&v6.sin6_addr, bytes.data(), sizeof v6.sin6_addr);
    return *net::Address::from(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(static_cast<std::uint16_t>(port));
  std::memcpy(&v4.sin_addr, bytes.data(), sizeof v4.sin_addr);
  return *net::Address::from(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
}

Rank rank_of(const Ip& destination, const std::optional<Ip>& source) {
  const Policy& policy = policy_of(destination);
  Rank rank;
  rank.less_preferred = static_cast<std::uint8_t>(0xff - policy.precedence);
  rank.scope = scope_of(destination);
  if (!source) {
    rank.unusable = rank.scope_differs = rank.label_differs = 1;
    return rank;
  }
  rank.scope_differs = scope_of(*source) != rank.scope ? 1 : 0;
  rank.label_differs = policy_of(*source).label != policy.label ? 1 : 0;
  // The interface's part of an address says nothing about distance.
  constexpr int kPrefix = 64;
  if (destination.is_v6) {
    const int shared = std::min(common_prefix(destination.bytes, source->bytes), kPrefix);
    rank.distance = static_cast<std::uint8_t>(kPrefix - shared);
  }
  return rank;
}

std::optional<Rank> rank_of(Base& base, const Ip& destination) {
  std::optional<Ip> source;
  try {
    const net::Address to = destination.with_port(9);  // any port: nothing is sent
    net::Socket socket = net::Socket::make(base, to.family(), SOCK_DGRAM);
    static_cast<void>(socket.connect(to));
    source = Ip::of(socket.address());
  } catch (const std::system_error& error) {
    if (is_shortage(error.code())) return std::nullopt;
    // There is no way to get there.
  }
  return rank_of(destination, source);
}

}  // namespace event_cpp::dns::detail
