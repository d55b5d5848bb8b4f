// What is a host name, and what needs no server: addresses, localhost.
#include "dns/name.hpp"

#include "dns/support.hpp"

namespace event_cpp::test {
namespace {

using dns::detail::literal;
using dns::detail::names_to_ask;
using dns::detail::parse_domain;
using dns::detail::parse_host_name;
using Names = std::vector<std::string>;

Names asked_for(const char* name, const Names& search, int ndots) {
  return names_to_ask(*parse_host_name(name), search, ndots);
}

TEST(HostNameTest, IsInLowerCaseAndWithoutTheDotAtTheEnd) {
  EXPECT_EQ(parse_host_name("WWW.Example.com")->text, "www.example.com");
  EXPECT_FALSE(parse_host_name("www.example.com")->absolute);
  EXPECT_EQ(parse_host_name("www.example.com.")->text, "www.example.com");
  EXPECT_TRUE(parse_host_name("www.example.com.")->absolute);
  EXPECT_TRUE(parse_host_name("_service-1.xn--bcher-kva.example"));
}

TEST(HostNameTest, IsNotWithoutLabels) {
  for (const char* const bad : {"", ".", "..", ".a", "a..b", "a.."}) {
    EXPECT_FALSE(parse_host_name(bad)) << bad;
  }
}

TEST(HostNameTest, HasLimits) {
  const std::string longest(63, 'a');
  EXPECT_TRUE(parse_host_name(longest));
  EXPECT_FALSE(parse_host_name(longest + "a"));
  const std::string name = longest + "." + longest + "." + longest + "." + std::string(61, 'a');
  ASSERT_EQ(name.size(), 253U);
  EXPECT_TRUE(parse_host_name(name));
  EXPECT_TRUE(parse_host_name(name + "."));
  EXPECT_FALSE(parse_host_name(name + "a"));
}

TEST(HostNameTest, HasOnlyCharactersOfHosts) {
  using namespace std::string_literals;
  for (const std::string& bad :
       {"b\xc3\xbc"
        "cher.example"s,
        "a b"s, "a\0b"s, "a\\.b"s, "a/b"s, "a:b"s, "a@b"s, "*.a"s, "a\n"s}) {
    EXPECT_FALSE(parse_host_name(bad)) << bad;
  }
}

TEST(HostNameTest, DoesNotEndInANumber) {
  for (const char* const bad : {"1.2", "1", "127.1", "0x7f.1", "0x7f.0x1", "a.0x", "1.2.3.4.5",
                                "300.1.1.1", "1.2.3.4.", "a.1"}) {
    EXPECT_FALSE(parse_host_name(bad)) << bad;
  }
  for (const char* const good : {"1.a", "a1", "1a", "0x7g", "4.3.2.1.in-addr.arpa"}) {
    EXPECT_TRUE(parse_host_name(good)) << good;
  }
}

TEST(LiteralTest, IsAnAddressWithoutAPort) {
  EXPECT_EQ(literal("127.0.0.1", 80), net::Address::loopback(80));
  EXPECT_EQ(literal("::1", 80), net::Address::loopback_ipv6(80));
  EXPECT_EQ(literal("[::1]", 80), net::Address::loopback_ipv6(80));
  const auto scoped = literal("fe80::1%1", 80);
  ASSERT_TRUE(scoped.has_value());
  EXPECT_EQ(scoped->text(), "[fe80::1%1]:80");
  for (const char* const bad : {"127.0.0.1:81", "[::1]:81", "unix:/run/a", "1.2", "localhost",
                                "fe80::1%no_such_interface", ""}) {
    EXPECT_FALSE(literal(bad, 80)) << bad;
  }
}

TEST(SearchTest, ComesBehindANameWithEnoughDots) {
  EXPECT_EQ(asked_for("a.b", {"x", "y"}, 1), (Names{"a.b", "a.b.x", "a.b.y"}));
}

TEST(SearchTest, ComesBeforeANameWithFewDots) {
  EXPECT_EQ(asked_for("a", {"x", "y"}, 1), (Names{"a.x", "a.y", "a"}));
  EXPECT_EQ(asked_for("a.b", {"x"}, 2), (Names{"a.b.x", "a.b"}));
}

TEST(SearchTest, IsNotForANameThatEndsInADot) {
  EXPECT_EQ(asked_for("a.b.", {"x"}, 1), (Names{"a.b"}));
  EXPECT_EQ(asked_for("a.", {"x"}, 1), (Names{"a"}));
}

TEST(SearchTest, ComesBehindEveryNameIfNdotsIsZero) {
  EXPECT_EQ(asked_for("a", {"x"}, 0), (Names{"a", "a.x"}));
}

TEST(SearchTest, OfTheRootIsTheNameItself) {
  EXPECT_EQ(parse_domain("."), "");
  EXPECT_EQ(asked_for("a", {"", "x"}, 1), (Names{"a", "a.x"}));
}

TEST(SearchTest, LeavesOutWhatWouldBeTooLong) {
  const std::string domain = std::string(63, 'x') + "." + std::string(63, 'y');
  const std::string name = std::string(63, 'a') + "." + std::string(63, 'b') + ".c";
  EXPECT_EQ(asked_for(name.c_str(), {domain, "z"}, 1), (Names{name, name + ".z"}));
}

class NoServerTest : public EveryNetworkWithNames {
 protected:
  dns::Resolver resolver{base, only({server.address()})};
};
ON_EVERY_NETWORK(NoServerTest);

TEST_P(NoServerTest, IsAskedForAnAddress) {
  EXPECT_EQ(addresses_of(resolver, "127.0.0.1"), std::vector{v4("127.0.0.1")});
  EXPECT_EQ(addresses_of(resolver, "::1"), std::vector{v6("::1")});
  EXPECT_EQ(addresses_of(resolver, "fe80::1%1"), std::vector{v6("fe80::1%1")});
  EXPECT_EQ(addresses_of(resolver, "192.0.2.1", Family::v4), std::vector{v4("192.0.2.1")});
  EXPECT_EQ(look_up(resolver, "192.0.2.1", Family::v6).error, dns::Errc::no_address);
  EXPECT_TRUE(server.seen().empty());
  EXPECT_EQ(resolver.stats().queries, 0U);
}

TEST_P(NoServerTest, IsAskedForLocalhost) {
  for (const char* const name :
       {"localhost", "localhost.", "LOCALHOST", "a.localhost", "a.b.localhost."}) {
    EXPECT_EQ(addresses_of(resolver, name), (std::vector{v6("::1"), v4("127.0.0.1")})) << name;
  }
  EXPECT_EQ(addresses_of(resolver, "localhost", Family::v4), std::vector{v4("127.0.0.1")});
  EXPECT_EQ(addresses_of(resolver, "localhost", Family::v6), std::vector{v6("::1")});
  EXPECT_TRUE(server.seen().empty());
  look_up(resolver, "notlocalhost.test");
  EXPECT_FALSE(server.seen().empty());
}

TEST_P(NoServerTest, IsAskedForWhatIsNoName) {
  for (const char* const bad : {"", ".", "1.2", "0x7f.1",
                                "b\xc3\xbc"
                                "cher",
                                "a b", "127.0.0.1:80"}) {
    const Lookup lookup = look_up(resolver, bad);
    EXPECT_EQ(lookup.error, dns::Errc::bad_name) << bad;
    EXPECT_EQ(lookup.error, std::errc::invalid_argument);
  }
  EXPECT_TRUE(server.seen().empty());
}

TEST_P(NoServerTest, IsAskedForAnOnion) {
  EXPECT_EQ(look_up(resolver, "abc.onion").error, dns::Errc::no_such_name);
  EXPECT_TRUE(server.seen().empty());
}

TEST_P(NoServerTest, IsAskedWithAPortOutOfRange) {
  for (const int port : {-1, 65536}) {
    const auto resolve = [](dns::Resolver& by, int with) -> co::Task<> {
      const dns::Answer answer = co_await by.resolve("127.0.0.1", with);
      static_cast<void>(answer);
    };
    EXPECT_EQ(run(error_of(resolve(resolver, port))), std::errc::invalid_argument);
  }
}

class ResolverTest : public EveryNetworkWithNames {};
ON_EVERY_NETWORK(ResolverTest);

TEST_P(ResolverTest, FindsBothFamilies) {
  dns::Resolver resolver(base, only({server.address()}));
  server.answer("a.test", {v4("127.0.0.1"), v6("::1")});
  const Lookup lookup = look_up(resolver, "A.test");
  EXPECT_EQ(lookup.answer.addresses, (std::vector{v6("::1"), v4("127.0.0.1")}));
  EXPECT_EQ(lookup.answer.canonical, "a.test");
  EXPECT_EQ(lookup.answer.ttl, 60s);
  EXPECT_FALSE(lookup.answer.cached);
  EXPECT_EQ(server.seen(), (Names{"a.test", "a.test"}));
}

TEST_P(ResolverTest, AsksForTheFamilyThatIsWantedAlone) {
  dns::Resolver resolver(base, only({server.address()}));
  server.answer("a.test", {v4("127.0.0.1"), v6("::1")});
  EXPECT_EQ(addresses_of(resolver, "a.test", Family::v4), std::vector{v4("127.0.0.1")});
  EXPECT_EQ(server.seen().size(), 1U);
  EXPECT_EQ(addresses_of(resolver, "a.test", Family::v6), std::vector{v6("::1")});
  EXPECT_EQ(server.seen().size(), 2U);
}

TEST_P(ResolverTest, FollowsAliases) {
  dns::Resolver resolver(base, only({server.address()}));
  server.alias("www.test", "web.test");
  server.alias("web.test", "host.test");
  server.answer("host.test", {v4("192.0.2.1")});
  const Lookup lookup = look_up(resolver, "www.test");
  EXPECT_EQ(lookup.answer.addresses, std::vector{v4("192.0.2.1")});
  EXPECT_EQ(lookup.answer.canonical, "host.test");
}

TEST_P(ResolverTest, TellsANameThatDoesNotExistFromOneWithoutAddress) {
  dns::Resolver resolver(base, only({server.address()}));
  server.answer("a.test", {v4("192.0.2.1")});
  server.answer("empty.test", {});
  EXPECT_EQ(look_up(resolver, "no.test").error, dns::Errc::no_such_name);
  EXPECT_EQ(look_up(resolver, "empty.test").error, dns::Errc::no_address);
  EXPECT_EQ(look_up(resolver, "a.test", Family::v6).error, dns::Errc::no_address);
}

TEST_P(ResolverTest, NeedsAServer) {
  dns::Resolver resolver(base, only({}));
  EXPECT_EQ(look_up(resolver, "a.test").error, dns::Errc::no_servers);
  EXPECT_THROW(dns::Resolver(base, only({v4("127.0.0.1", 0)})), std::system_error);
  EXPECT_THROW(dns::Resolver(base, only({net::Address::unix_path("/a")})), std::system_error);
}

TEST_P(ResolverTest, TakesTheUnspecifiedAddressForAServerOfThisMachine) {
  if (is_toy()) return;
  server.answer("a.test", {v4("192.0.2.1")});
  server.fault("a.test", Fault::truncate, 1);  // over TCP as well
  dns::Resolver resolver(base, only({v4("0.0.0.0", server.address().port())}));
  EXPECT_EQ(addresses_of(resolver, "a.test"), std::vector{v4("192.0.2.1")});
}

TEST_P(ResolverTest, GoesOnInTheSearchListOnlyIfANameDoesNotExist) {
  dns::Options options = only({server.address()});
  options.search = {"One.test.", "two.test", "three.test"};
  dns::Resolver resolver(base, options);
  server.answer("host.two.test", {v4("192.0.2.2")});
  server.answer("host.three.test", {v6("2001:db8::3")});
  EXPECT_EQ(addresses_of(resolver, "host"), std::vector{v4("192.0.2.2")});
  EXPECT_EQ(server.seen(),
            (Names{"host.one.test", "host.one.test", "host.two.test", "host.two.test"}));
}

TEST_P(ResolverTest, EndsTheSearchAtANameWithoutAnAddressOfTheFamily) {
  dns::Options options = only({server.address()});
  options.search = {"one.test", "two.test"};
  dns::Resolver resolver(base, options);
  server.answer("host.one.test", {v4("192.0.2.1")});
  server.answer("host.two.test", {v6("2001:db8::2")});
  EXPECT_EQ(look_up(resolver, "host", Family::v6).error, dns::Errc::no_address);
  EXPECT_EQ(addresses_of(resolver, "host"), std::vector{v4("192.0.2.1")});
}

TEST_P(ResolverTest, EndsTheSearchIfAServerFails) {
  dns::Options options = only({server.address()});
  options.search = {"one.test", "two.test"};
  dns::Resolver resolver(base, options);
  server.fault("host.one.test", Fault::servfail);
  server.answer("host.two.test", {v4("192.0.2.2")});
  EXPECT_EQ(look_up(resolver, "host").error, dns::Errc::server_failed);
}

TEST_P(ResolverTest, FindsTheAddressesOfANameWhoseOtherFamilyDoesNotExist) {
  dns::Resolver resolver(base, only({server.address()}));
  server.answer("a.test", {v4("192.0.2.1")});
  server.fault("a.test", Fault::nxdomain, -1, Family::v6);
  EXPECT_EQ(addresses_of(resolver, "a.test"), std::vector{v4("192.0.2.1")});
}

}  // namespace
}  // namespace event_cpp::test
