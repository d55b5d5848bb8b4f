// Which of several addresses is tried first: RFC 6724, section 6.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>

#include "event/base.hpp"
#include "event/net/address.hpp"

namespace event_cpp::dns::detail {

// The rules as far as they look at one address at a time: less is better. Two of different families
// never come to the last member.
struct Rank {
  std::uint8_t unusable = 0;        // rule 1
  std::uint8_t scope_differs = 0;   // rule 2
  std::uint8_t label_differs = 0;   // rule 5
  std::uint8_t less_preferred = 0;  // rule 6: the higher the precedence, the lower
  std::uint8_t scope = 0;           // rule 8
  std::uint8_t distance = 0;        // rule 9, IPv6 only: bits that the prefixes do not share

  // NOLINTNEXTLINE(modernize-use-nullptr): what it finds is not in the source.
  auto operator<=>(const Rank&) const = default;
};

// An address of an answer, without a port.
struct Ip {
  std::array<std::uint8_t, 16> bytes{};  // of IPv4: the first four
  bool is_v6 = false;
  Rank rank;

  static Ip of(const net::Address& address);  // requires is_ip()
  net::Address with_port(int port) const;
};

// `source` is what this machine would send from; nothing if it cannot send there.
Rank rank_of(const Ip& destination, const std::optional<Ip>& source);

// The same with the source that the system chooses. Nothing if that cannot be found out now: there
// is no descriptor or memory left. Cost: makes and closes a socket; sends nothing.
std::optional<Rank> rank_of(Base& base, const Ip& destination);

}  // namespace event_cpp::dns::detail
