// Addresses: text, comparison, and what is no address.
#include "event/net/address.hpp"

#include <gtest/gtest.h>
#include <net/if.h>

#include <set>
#include <string>
#include <system_error>
#include <unordered_set>

namespace event_cpp::test {
namespace {

using net::Address;

TEST(AddressTest, ParsesWhatItPrints) {
  for (const char* const text : {"127.0.0.1:80", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:80",
                                 "[::]:0", "[fe80::1%2]:80", "[2001:db8::1]:443",
                                 "[::ffff:1.2.3.4]:5", "unix:/run/socket", "unix:relative"}) {
    const auto address = Address::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->text(), text);
    EXPECT_EQ(*Address::parse(address->text()), *address);
  }
}

TEST(AddressTest, ParsesWhatItPrintsOfEveryUnixSocket) {
  using namespace std::string_literals;
  EXPECT_EQ(Address::unix_path("@name").text(), "unix:./@name");
  const std::string longest(Address::max_path(), '@');
  for (const std::string& path : {"@name"s, "./@name"s, "././@"s, "./name"s, ".@"s, longest}) {
    const Address address = Address::unix_path(path);
    EXPECT_EQ(Address::parse(address.text()), address) << path;
    EXPECT_EQ(address.path(), path);
  }
#ifdef __linux__
  for (const std::string& name : {"name"s, "\0na\0me\0"s, "@"s, "unix:"s}) {
    const Address address = Address::unix_abstract(name);
    ASSERT_TRUE(Address::parse(address.text())) << name;
    EXPECT_EQ(*Address::parse(address.text()), address) << name;
    EXPECT_EQ(address.path(), name);
  }
#endif
}

TEST(AddressTest, PrintsTheHostAlone) {
  EXPECT_EQ(Address::loopback(80).host(), "127.0.0.1");
  EXPECT_EQ(Address::loopback_ipv6(80).host(), "::1");
  EXPECT_EQ(Address::parse("[fe80::1%2]:80")->host(), "fe80::1%2");
  EXPECT_EQ(Address::unix_path("/a").host(), "");
  EXPECT_EQ(Address().host(), "");
}

TEST(AddressTest, FindsTheIpv4AddressInAnIpv6Address) {
  EXPECT_EQ(Address::parse("[::ffff:192.0.2.1]:80")->unmapped(), *Address::parse("192.0.2.1:80"));
  for (const char* const other : {"192.0.2.1:80", "[::1]:80", "[::192.0.2.1]:80", "unix:/a"}) {
    EXPECT_EQ(Address::parse(other)->unmapped(), *Address::parse(other)) << other;
  }
  EXPECT_EQ(Address().unmapped(), Address());
}

TEST(AddressTest, ParsesHostsWithoutAPort) {
  EXPECT_EQ(Address::parse("127.0.0.1", 7)->text(), "127.0.0.1:7");
  EXPECT_EQ(Address::parse("127.0.0.1:8", 7)->text(), "127.0.0.1:8");
  EXPECT_EQ(Address::parse("::1", 7)->text(), "[::1]:7");
  EXPECT_EQ(Address::parse("[::1]", 7)->text(), "[::1]:7");
  EXPECT_EQ(Address::parse("[::1]:8", 7)->text(), "[::1]:8");
  EXPECT_EQ(Address::parse("fe80::1%3", 7)->text(), "[fe80::1%3]:7");
  EXPECT_EQ(Address::parse("1:2:3:4:5:6:7:8", 7)->port(), 7);
}

TEST(AddressTest, ParsesTheNameOfAnInterface) {
  std::array<char, IF_NAMESIZE> name{};
  if (::if_indextoname(1, name.data()) == nullptr) GTEST_SKIP() << "no interface";
  const auto address = Address::parse("[fe80::1%" + std::string(name.data()) + "]:80");
  ASSERT_TRUE(address);
  EXPECT_EQ(address->text(), "[fe80::1%1]:80");
}

TEST(AddressTest, ParsesNothingElse) {
  using namespace std::string_view_literals;
  const std::string long_path = "unix:/" + std::string(108, 'x');
  const std::string digits(100'000, '1');
  const std::string colons(100'000, ':');
  for (const std::string_view text : {""sv,
                                      " "sv,
                                      ":"sv,
                                      ":80"sv,
                                      "localhost"sv,
                                      "localhost:80"sv,
                                      "127.0.0.1:"sv,
                                      "127.0.0.1:65536"sv,
                                      "127.0.0.1:-1"sv,
                                      "127.0.0.1:+1"sv,
                                      "127.0.0.1: 1"sv,
                                      "127.0.0.1:1 "sv,
                                      "127.0.0.1:1x"sv,
                                      "127.0.0.1 "sv,
                                      "127.0.0"sv,
                                      "127.0.0.256"sv,
                                      "0127.0.0.1.1"sv,
                                      "[127.0.0.1]:80"sv,
                                      "["sv,
                                      "[]"sv,
                                      "[::1"sv,
                                      "[::1]80"sv,
                                      "[::1]:"sv,
                                      "[::1]:x"sv,
                                      "[::1]:65536"sv,
                                      "[::1]:99999999999"sv,
                                      "[[::1]]"sv,
                                      "::1%"sv,
                                      "fe80::1%0"sv,
                                      "fe80::1%no such interface"sv,
                                      "fe80::1%99999999999"sv,
                                      "::1::"sv,
                                      ":::"sv,
                                      "unix:"sv,
                                      "127.0.0.1\0"sv,
                                      "127.0.0.1\0:80"sv,
                                      "[::1\0]:80"sv,
                                      "unix:/a\0b"sv,
                                      std::string_view(long_path),
                                      std::string_view(digits),
                                      std::string_view(colons)}) {
    EXPECT_FALSE(Address::parse(text)) << text.substr(0, 100);
  }
}

TEST(AddressTest, RefusesAPortOutOfRange) {
  for (const int port : {-1, 65536, -2147483647}) {
    EXPECT_THROW(Address::any(port), std::system_error);
    EXPECT_THROW(Address::loopback(port), std::system_error);
    EXPECT_THROW(Address::loopback_ipv6(port), std::system_error);
    EXPECT_THROW(static_cast<void>(Address::parse("127.0.0.1", port)), std::system_error);
    for (const Address& address : {Address::loopback(1), Address::unix_path("/a"), Address()}) {
      EXPECT_THROW(static_cast<void>(address.with_port(port)), std::system_error);
    }
  }
  EXPECT_EQ(Address::loopback(65535).port(), 65535);
  EXPECT_EQ(Address::loopback(1).with_port(2), Address::loopback(2));
}

TEST(AddressTest, TellsWhatItIs) {
  EXPECT_EQ(Address().family(), AF_UNSPEC);
  EXPECT_EQ(Address().text(), "");
  EXPECT_EQ(Address().size(), 0U);
  EXPECT_TRUE(Address::loopback(1).is_ip());
  EXPECT_TRUE(Address::loopback(1).is_loopback());
  EXPECT_TRUE(Address::loopback_ipv6(1).is_loopback());
  EXPECT_FALSE(Address::any(1).is_loopback());
  EXPECT_TRUE(Address::unix_path("/a").is_unix());
  EXPECT_EQ(Address::unix_path("/a").port(), 0);
  EXPECT_EQ(Address::unix_path("/a").path(), "/a");
  EXPECT_EQ(Address::loopback(1).path(), "");
}

TEST(AddressTest, TakesAPathOfTheLongestAndNoLonger) {
  const std::string longest(Address::max_path(), 'x');
  EXPECT_EQ(Address::unix_path(longest).path(), longest);
  try {
    static_cast<void>(Address::unix_path(longest + "x"));
    ADD_FAILURE();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::filename_too_long);
  }
  EXPECT_THROW(static_cast<void>(Address::unix_path("")), std::system_error);
  EXPECT_THROW(static_cast<void>(Address::unix_path(std::string_view("a\0b", 3))),
               std::system_error);
}

#ifdef __linux__
TEST(AddressTest, TakesAbstractNamesWithAnyBytes) {
  const std::string name("a\0b", 3);
  const Address address = Address::unix_abstract(name);
  EXPECT_TRUE(address.is_abstract());
  EXPECT_EQ(address.path(), name);
  EXPECT_NE(Address::unix_abstract("a"), Address::unix_path("a"));
  EXPECT_EQ(Address::unix_abstract("a").text(), "unix:@a");
  EXPECT_EQ(Address::parse("unix:@a"), Address::unix_abstract("a"));
  const std::string longest(Address::max_path(), 'x');
  EXPECT_EQ(Address::unix_abstract(longest).path(), longest);
  EXPECT_EQ(Address::parse("unix:@" + longest), Address::unix_abstract(longest));
  EXPECT_THROW(static_cast<void>(Address::unix_abstract(longest + "x")), std::system_error);
}
#endif

TEST(AddressTest, IsOrderedAndHashedByWhatItMeans) {
  const std::vector<Address> all{
      Address(),
      Address::loopback(1),
      Address::loopback(2),
      Address::any_ipv4(1),
      Address::loopback_ipv6(1),
      *Address::parse("[fe80::1%1]:1"),
      *Address::parse("[fe80::1%2]:1"),
      Address::unix_path("/a"),
      Address::unix_path("/b"),
  };
  EXPECT_EQ(std::set<Address>(all.begin(), all.end()).size(), all.size());
  EXPECT_EQ(std::unordered_set<Address>(all.begin(), all.end()).size(), all.size());
  for (const Address& a : all) {
    const Address copy = a;
    EXPECT_EQ(copy, a);
    EXPECT_EQ(copy.hash(), a.hash());
    if (a.size() > 0) {
      EXPECT_EQ(Address::from(a.data(), a.size()), a);
    }
  }
}

TEST(AddressTest, IsTheSameHoweverTheKernelPadsIt) {
  const Address path = Address::unix_path("/a");
  EXPECT_EQ(Address::from(path.data(), path.size() - 1), path);  // without its zero
  sockaddr_in padded{};
  padded.sin_family = AF_INET;
  padded.sin_port = htons(5);
  padded.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  padded.sin_zero[3] = 'x';
  const auto address = Address::from(reinterpret_cast<const sockaddr*>(&padded), sizeof padded);
  EXPECT_EQ(address, Address::loopback(5));
  EXPECT_EQ(address->hash(), Address::loopback(5).hash());
  sockaddr_in6 flow{};
  flow.sin6_family = AF_INET6;
  flow.sin6_port = htons(5);
  flow.sin6_addr = in6addr_loopback;
  flow.sin6_flowinfo = 7;
  EXPECT_EQ(Address::from(reinterpret_cast<const sockaddr*>(&flow), sizeof flow),
            Address::loopback_ipv6(5));
}

TEST(AddressTest, IsNothingIfItIsTooShortOrOfAnotherFamily) {
  const Address address = Address::loopback(5);
  for (socklen_t size = 0; size < address.size(); ++size) {
    EXPECT_FALSE(Address::from(address.data(), size)) << size;
  }
  sockaddr other{};
  other.sa_family = AF_UNSPEC;
  EXPECT_FALSE(Address::from(&other, sizeof other));
}

}  // namespace
}  // namespace event_cpp::test
