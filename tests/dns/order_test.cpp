// Which address is tried first: the examples of RFC 6724, section 10, and what becomes of them.
#include "dns/order.hpp"

#include "dns/support.hpp"

namespace event_cpp::test {
namespace {

using dns::detail::Ip;
using dns::detail::rank_of;

Ip ip(const char* text) { return Ip::of(*net::Address::parse(text, 0)); }

struct Destination {
  const char* address;
  const char* source;  // null: none
};

bool is_before(Destination first, Destination second) {
  const auto rank = [](const Destination& destination) {
    std::optional<Ip> source;
    if (destination.source != nullptr) source = ip(destination.source);
    return rank_of(ip(destination.address), source);
  };
  return rank(first) < rank(second);
}

TEST(OrderTest, PrefersWhatCanBeReached) {
  EXPECT_TRUE(is_before({"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", nullptr}));
  EXPECT_TRUE(is_before({"2001:db8::1", "2001:db8::2"}, {"192.0.2.1", nullptr}));
}

TEST(OrderTest, PrefersAMatchingScope) {
  EXPECT_TRUE(is_before({"2001:db8:1::1", "2001:db8:1::2"}, {"198.51.100.121", "169.254.13.78"}));
  EXPECT_TRUE(is_before({"198.51.100.121", "198.51.100.117"}, {"2001:db8:1::1", "fe80::1"}));
}

TEST(OrderTest, PrefersAMatchingLabel) {
  EXPECT_TRUE(is_before({"2002:c633:6401::1", "2002:c633:6401::2"},
                        {"2001:db8:1::1", "2002:c633:6401::2"}));
}

TEST(OrderTest, PrefersAHigherPrecedence) {
  EXPECT_TRUE(is_before({"2001:db8:1::1", "2001:db8:1::2"}, {"10.1.2.3", "10.1.2.4"}));
  EXPECT_TRUE(
      is_before({"2001:db8:1::1", "2001:db8:1::2"}, {"2002:c633:6401::1", "2002:c633:6401::2"}));
  EXPECT_TRUE(is_before({"10.1.2.3", "10.1.2.4"}, {"2002:c633:6401::1", "2002:c633:6401::2"}));
  EXPECT_TRUE(is_before({"::1", "::1"}, {"127.0.0.1", "127.0.0.1"}));
  EXPECT_TRUE(is_before({"10.1.2.3", "10.1.2.4"}, {"fd00::1", "fd00::2"}));
}

TEST(OrderTest, PrefersASmallerScope) {
  EXPECT_TRUE(is_before({"fe80::1", "fe80::2"}, {"2001:db8:1::1", "2001:db8:1::2"}));
}

TEST(OrderTest, PrefersALongerCommonPrefixInIpv6Alone) {
  EXPECT_TRUE(
      is_before({"2001:db8:1::1", "2001:db8:1::2"}, {"2001:db8:3ffe::1", "2001:db8:3f44::2"}));
  EXPECT_FALSE(is_before({"10.1.2.3", "10.1.2.4"}, {"10.200.2.3", "10.1.2.4"}));
  // What is behind the first half names an interface.
  EXPECT_FALSE(is_before({"2001:db8::1", "2001:db8::2"}, {"2001:db8::ffff", "2001:db8::2"}));
}

// Counts the sockets that are made to find out, over the simulated network.
class OrderOfAnswerTest : public ToyNames {};

TEST_F(OrderOfAnswerTest, IsFoundOncePerAnswer) {
  dns::Resolver resolver(base, only({server->address()}));
  std::vector<net::Address> many{v6("2001:db8::1")};
  for (int i = 1; i <= 10; ++i) many.push_back(v4(("192.0.2." + std::to_string(i)).c_str()));
  server->answer("a.test", many);
  EXPECT_EQ(look_up(resolver, "a.test").answer.addresses.size(), 11U);
  const int connects = kernel.connects;
  EXPECT_EQ(look_up(resolver, "a.test").answer.addresses.size(), 11U);
  EXPECT_EQ(kernel.connects, connects);
}

TEST_F(OrderOfAnswerTest, IsNotKeptIfItCouldNotBeFoundOut) {
  dns::Resolver resolver(base, only({server->address()}));
  server->answer("a.test", {v4("192.0.2.1"), v4("192.0.2.2")});
  const std::vector<net::Address> reachable_first{v4("192.0.2.2"), v4("192.0.2.1")};
  kernel.no_way[v4("192.0.2.1", 9)] = ENETUNREACH;
  EXPECT_EQ(look_up(resolver, "a.test", Family::v4).answer.addresses, reachable_first);
  resolver.flush();
  for (const int error : {EMFILE, ENFILE, ENOMEM, ENOBUFS, EAGAIN}) {
    kernel.no_way[v4("192.0.2.2", 9)] = error;
    look_up(resolver, "a.test", Family::v4);
  }
  kernel.no_way.erase(v4("192.0.2.2", 9));
  EXPECT_EQ(look_up(resolver, "a.test", Family::v4).answer.addresses, reachable_first);
}

TEST_F(OrderOfAnswerTest, ReachesWhatCouldNotBeFoundOut) {
  dns::Resolver resolver(base, only({server->address()}));
  server->answer("a.test", {v4("192.0.2.1"), v4("192.0.2.2"), v4("192.0.2.3")});
  kernel.no_way[v4("192.0.2.1", 9)] = ENETUNREACH;
  kernel.no_way[v4("192.0.2.2", 9)] = EMFILE;
  EXPECT_EQ(look_up(resolver, "a.test", Family::v4).answer.addresses,
            (std::vector{v4("192.0.2.2"), v4("192.0.2.3"), v4("192.0.2.1")}));
}

TEST_F(OrderOfAnswerTest, NeedsNoSocketForOneAddress) {
  dns::Resolver resolver(base, only({server->address()}));
  server->answer("a.test", {v4("192.0.2.1")});
  look_up(resolver, "a.test");
  EXPECT_EQ(kernel.connects, 2);  // the queries
}

TEST_F(OrderOfAnswerTest, LeavesEqualAddressesAsTheServerGaveThem) {
  dns::Resolver resolver(base, only({server->address()}));
  const std::vector<net::Address> addresses{v4("192.0.2.9"), v4("192.0.2.1"), v4("10.0.0.1")};
  server->answer("a.test", addresses);
  EXPECT_EQ(look_up(resolver, "a.test").answer.addresses, addresses);
}

}  // namespace
}  // namespace event_cpp::test
