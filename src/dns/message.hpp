// The messages of DNS: RFC 1035, section 4.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "dns/order.hpp"
#include "event/dns/error.hpp"
#include "event/net/bytes.hpp"

namespace event_cpp::dns::detail {

enum class Type : std::uint16_t { a = 1, aaaa = 28 };

// A query for the addresses of a name, which parse_host_name() has accepted. `edns_size` is the
// largest answer over UDP; 0: without EDNS. Errors: throws Errc::bad_name; std::bad_alloc.
std::string make_query(const std::string& name, Type type, std::uint16_t id, int edns_size);

// What an answer is limited to.
inline constexpr int kMostAliases = 16;
inline constexpr std::size_t kMostAddresses = 64;  // the rest is ignored
inline constexpr std::size_t kMostRecords = 1024;

struct Reply {
  enum class Kind : std::uint8_t {
    complete,
    not_ours,       // it does not answer the question
    truncated,      // it did not fit: ask over TCP
    not_understood  // the server does not know EDNS or its version, or does not understand at all
  };

  Kind kind = Kind::complete;
  Errc error = Errc::none;  // of what is complete
  bool was_asked = true;    // false: this machine has no way to the server, which is not to blame
  std::vector<Ip> addresses;
  std::string canonical;
  std::chrono::seconds ttl{};  // for how long it holds; zero: it must not be kept
};

inline Reply failed(Errc error) {
  Reply reply;
  reply.error = error;
  return reply;
}

inline Reply not_asked() {
  Reply reply = failed(Errc::refused);
  reply.was_asked = false;
  return reply;
}

// Reads the answer to a query. Anybody may have sent it, so nothing in it is believed before it has
// our id and question. Errors: throws std::bad_alloc.
Reply parse_reply(net::Bytes message, const std::string& name, Type type, std::uint16_t id);

}  // namespace event_cpp::dns::detail
