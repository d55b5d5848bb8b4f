// Messages as a server sees them, for test::Server. Apart from message.hpp, so that one does not
// read only what the other writes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "event/net/address.hpp"
#include "event/net/bytes.hpp"

namespace event_cpp::dns::test {

// Names here are bytes with dots between the labels.
struct Asked {
  std::uint16_t id = 0;
  std::string name;  // as it was written
  std::uint16_t type = 0;
  int edns_size = 0;  // 0: without EDNS
};

// Nothing if it is no query.
std::optional<Asked> parse_query(net::Bytes bytes);

struct Entry {
  std::string owner;
  std::uint16_t type = 0;
  std::uint32_t ttl = 0;
  std::string data;
};

inline constexpr std::uint16_t kTypeA = 1;
inline constexpr std::uint16_t kTypeAlias = 5;
inline constexpr std::uint16_t kTypeAuthority = 6;
inline constexpr std::uint16_t kTypeAaaa = 28;

struct Said {
  std::uint16_t id = 0;
  std::string name;  // of the question
  std::uint16_t type = 0;
  bool edns = false;
  unsigned code = 0;  // what does not fit in the header needs EDNS
  bool truncated = false;
  std::vector<Entry> answers;
  std::vector<Entry> authorities;
};

std::string write_reply(const Said& said);
std::string write_name(std::string_view name);
std::string write_address(const net::Address& address);
// Its last number is how long it may be kept that something does not exist.
std::string write_authority(std::uint32_t negative_ttl);

}  // namespace event_cpp::dns::test
