// What name resolution reads: the answers of servers, and two files.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "dns/hosts.hpp"
#include "dns/message.hpp"
#include "dns/resolv_conf.hpp"
#include "targets.hpp"

namespace event_cpp::fuzz {
namespace {

using dns::detail::Reply;
using dns::detail::Type;

// The question is the one of the inputs that are kept, and the id the message's own: nothing else
// would get far.
void expect_sense(const std::string& message, Type type) {
  std::uint16_t id = 0;
  if (message.size() >= 2) {
    id = static_cast<std::uint16_t>(static_cast<unsigned char>(message[0]) << 8 |
                                    static_cast<unsigned char>(message[1]));
  }
  const Reply reply = dns::detail::parse_reply(message, "a.test", type, id);
  EXPECT_LE(reply.addresses.size(), dns::detail::kMostAddresses);
  EXPECT_GE(reply.ttl.count(), 0);
  EXPECT_LE(reply.canonical.size(), 255U);
  for (const char c : reply.canonical) EXPECT_TRUE(c > ' ' && c < 0x7f) << int{c};
  for (const auto& ip : reply.addresses) EXPECT_EQ(ip.is_v6, type == Type::aaaa);
  const bool has_addresses = reply.kind == Reply::Kind::complete && reply.error == dns::Errc::none;
  EXPECT_EQ(!reply.addresses.empty(), has_addresses);
}

}  // namespace

void run_dns(Bytes bytes) {
  const std::string text(bytes.begin(), bytes.end());
  expect_sense(text, Type::a);
  expect_sense(text, Type::aaaa);
  for (const net::Address& server : dns::detail::parse_resolv_conf(text).servers) {
    EXPECT_TRUE(server.is_ip() && server.port() != 0);
  }
  const dns::detail::Hosts hosts(text);
  EXPECT_EQ(hosts.find(""), nullptr);
}

}  // namespace event_cpp::fuzz
