// resolv.conf and hosts: what they say, and when they are read.
#include <sys/stat.h>

#include "dns/hosts.hpp"
#include "dns/resolv_conf.hpp"
#include "dns/support.hpp"

namespace event_cpp::test {
namespace {

using dns::detail::Hosts;
using dns::detail::parse_resolv_conf;
using Names = std::vector<std::string>;

TEST(ResolvConfTest, NamesServers) {
  const auto conf = parse_resolv_conf(
      "# a comment\n; another\nnameserver 192.0.2.1 # ours\n  nameserver\t2001:db8::1\r\n"
      "nameserver fe80::1%1\nnameserver 127.0.0.1:5353\nnameserver [::1]:5354\n"
      "nameserver none\nnameserver\nnameserver 192.0.2.2:0");
  const std::vector<net::Address> expected{v4("192.0.2.1", 53), v6("2001:db8::1", 53),
                                           v6("fe80::1%1", 53), v4("127.0.0.1", 5353),
                                           v6("::1", 5354)};
  EXPECT_EQ(conf.servers, expected);
  EXPECT_EQ(conf.ndots, 1);
  EXPECT_FALSE(conf.rotate);
  EXPECT_TRUE(conf.search.empty());
}

TEST(ResolvConfTest, NamesDomainsOfWhichTheLastLineCounts) {
  EXPECT_EQ(parse_resolv_conf("domain a.test\nsearch B.test c.test. bad..name .").search,
            (Names{"b.test", "c.test", ""}));
  EXPECT_EQ(parse_resolv_conf("search b.test\ndomain a.test c.test").search, Names{"a.test"});
}

TEST(ResolvConfTest, HasOptions) {
  const auto conf = parse_resolv_conf("options ndots:3 rotate timeout:1\noptions edns0");
  EXPECT_EQ(conf.ndots, 3);
  EXPECT_TRUE(conf.rotate);
  EXPECT_EQ(parse_resolv_conf("options ndots:0").ndots, 0);
  EXPECT_EQ(parse_resolv_conf("options ndots:99").ndots, 15);
  for (const char* const bad : {"options ndots:", "options ndots:-1", "options ndots:2x",
                                "options ndots:99999999999999999999"}) {
    EXPECT_EQ(parse_resolv_conf(bad).ndots, 1) << bad;
  }
}

TEST(ResolvConfTest, MayBeNothing) {
  EXPECT_TRUE(parse_resolv_conf("").servers.empty());
  EXPECT_TRUE(parse_resolv_conf(std::string(10'000, '\n')).servers.empty());
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "nameserver 192.0.2.1\n";
  EXPECT_EQ(parse_resolv_conf(many).servers.size(), 8U);
}

TEST(HostsTest, HaveAddressesAndNames) {
  const Hosts hosts(
      "192.0.2.1 Web.test www # ours\n2001:db8::1\tweb.test\nfe80::2%1 link\n"
      "192.0.2.1 www\nnone web.test\n192.0.2.9\n# 192.0.2.8 web.test\n");
  const auto* const web = hosts.find("web.test");
  ASSERT_NE(web, nullptr);
  EXPECT_EQ(web->addresses, (std::vector{v4("192.0.2.1", 0), v6("2001:db8::1", 0)}));
  const auto* const www = hosts.find("www");
  ASSERT_NE(www, nullptr);
  EXPECT_EQ(www->canonical, "web.test");
  EXPECT_EQ(www->addresses, std::vector{v4("192.0.2.1", 0)});
  EXPECT_EQ(hosts.find("link")->addresses, std::vector{v6("fe80::2%1", 0)});
  EXPECT_EQ(hosts.find("none"), nullptr);
}

TEST(HostsTest, HaveTheGoodNamesOfALineWithBadOnes) {
  const Hosts hosts("192.0.2.1 b\xc3\xa4.d good -\xff also.good 1.2\n192.0.2.2 a_\xc3\xa4\n");
  for (const char* const name : {"good", "also.good"}) {
    const auto* const host = hosts.find(name);
    ASSERT_NE(host, nullptr) << name;
    EXPECT_EQ(host->canonical, "good");
    EXPECT_EQ(host->addresses, std::vector{v4("192.0.2.1", 0)});
  }
  EXPECT_EQ(hosts.find("1.2"), nullptr);
}

TEST(ResolverFilesTest, MayHaveNoZeroByteInTheirPaths) {
  Base base({.backend = Backend::none});
  for (auto dns::Options::*const path : {&dns::Options::resolv_conf, &dns::Options::hosts_file}) {
    dns::Options options = only({});
    options.*path = std::string("/etc/hosts\0x", 12);
    try {
      const dns::Resolver resolver(base, options);
      ADD_FAILURE();
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::invalid_argument);
    }
  }
}

class HostsFileTest : public EveryNetworkWithNames {
 protected:
  static constexpr const char* kText = "192.0.2.1 web.test www\n2001:db8::1 six.test\n";

  dns::Options options() {
    dns::Options chosen = only({server.address()});
    chosen.hosts_file = file.path();
    return chosen;
  }

  TemporaryFile file{kText};
};
ON_EVERY_NETWORK(HostsFileTest);

TEST_P(HostsFileTest, ComesBeforeTheServers) {
  dns::Resolver resolver(base, options());
  const Lookup lookup = look_up(resolver, "WWW.");
  EXPECT_EQ(lookup.answer.addresses, std::vector{v4("192.0.2.1")});
  EXPECT_EQ(lookup.answer.canonical, "web.test");
  EXPECT_TRUE(server.seen().empty());
}

TEST_P(HostsFileTest, IsNotReadIfItIsNotWanted) {
  dns::Options without = options();
  without.hosts = false;
  dns::Resolver resolver(base, without);
  EXPECT_EQ(look_up(resolver, "web.test").error, dns::Errc::no_such_name);
  EXPECT_EQ(look_up(resolver, "web.test").error, net::no_such_name());
}

TEST_P(HostsFileTest, LeavesAFamilyThatItDoesNotHaveToTheServers) {
  dns::Resolver resolver(base, options());
  server.answer("six.test", {v4("192.0.2.6")});
  EXPECT_EQ(addresses_of(resolver, "six.test", Family::v4), std::vector{v4("192.0.2.6")});
  EXPECT_EQ(addresses_of(resolver, "six.test"), std::vector{v6("2001:db8::1")});
}

TEST_P(HostsFileTest, IsReadAgainWhenItHasChangedAndASecondHasPassed) {
  dns::Resolver resolver(base, options());
  EXPECT_EQ(addresses_of(resolver, "web.test"), std::vector{v4("192.0.2.1")});
  file.write("192.0.2.22 web.test\n");
  EXPECT_EQ(addresses_of(resolver, "web.test"), std::vector{v4("192.0.2.1")});
  time.advance(1s);
  EXPECT_EQ(addresses_of(resolver, "web.test"), std::vector{v4("192.0.2.22")});
}

TEST_P(HostsFileTest, MayBeMissing) {
  dns::Options missing = options();
  missing.hosts_file = "/tmp/no/such/file";
  dns::Resolver resolver(base, missing);
  EXPECT_EQ(look_up(resolver, "web.test").error, dns::Errc::no_such_name);
}

TEST_P(HostsFileTest, IsNotWaitedForIfItIsAFifo) {
  const std::string name = file.path().string() + ".fifo";
  ASSERT_EQ(::mkfifo(name.c_str(), 0600), 0);
  dns::Options blocking = options();
  blocking.hosts_file = name;
  blocking.resolv_conf = name;
  dns::Resolver resolver(base, blocking);
  EXPECT_EQ(look_up(resolver, "web.test").error, dns::Errc::no_such_name);
  ::unlink(name.c_str());
}

class ResolvConfFileTest : public EveryNetworkWithNames {
 protected:
  static std::string naming(const Server& server) {
    return "nameserver " + server.address().text() + "\n";
  }
  dns::Options options() {
    dns::Options chosen = only({});
    chosen.resolv_conf = file.path();
    return chosen;
  }

  Server second{base};
  TemporaryFile file{naming(server) + "search one.test\noptions ndots:2\n"};
};
ON_EVERY_NETWORK(ResolvConfFileTest);

TEST_P(ResolvConfFileTest, NamesServersDomainsAndDots) {
  dns::Resolver resolver(base, options());
  server.answer("a.b.one.test", {v4("192.0.2.1")});
  EXPECT_EQ(addresses_of(resolver, "a.b", Family::v4), std::vector{v4("192.0.2.1")});
  EXPECT_EQ(server.seen(), Names{"a.b.one.test"});
}

TEST_P(ResolvConfFileTest, IsReadAgainWhenItHasChangedAndASecondHasPassed) {
  dns::Resolver resolver(base, options());
  server.answer("a.test", {v4("192.0.2.1")});
  second.answer("a.test", {v4("192.0.2.2")});
  EXPECT_EQ(addresses_of(resolver, "a.test.", Family::v4), std::vector{v4("192.0.2.1")});
  file.write(naming(second));
  time.advance(999ms);
  EXPECT_EQ(addresses_of(resolver, "a.test.", Family::v4), std::vector{v4("192.0.2.1")});
  time.advance(1ms);
  EXPECT_EQ(addresses_of(resolver, "a.test.", Family::v4), std::vector{v4("192.0.2.2")});
}

TEST_P(ResolvConfFileTest, IsReadAgainAtOnceIfAskedTo) {
  dns::Resolver resolver(base, options());
  second.answer("a.test", {v4("192.0.2.2")});
  look_up(resolver, "a.test");
  file.write(naming(second));
  resolver.reload();
  EXPECT_EQ(addresses_of(resolver, "a.test", Family::v4), std::vector{v4("192.0.2.2")});
}

TEST_P(ResolvConfFileTest, LeavesTheCacheAloneIfItHasNotChanged) {
  dns::Resolver resolver(base, options());
  server.answer("a.test", {v4("192.0.2.1")});
  look_up(resolver, "a.test.");
  time.advance(10s);
  resolver.reload();
  EXPECT_TRUE(look_up(resolver, "a.test.").answer.cached);
}

TEST_P(ResolvConfFileTest, MayComeLater) {
  std::filesystem::remove(file.path());
  dns::Resolver resolver(base, options());
  second.answer("a.test", {v4("192.0.2.2")});
  EXPECT_EQ(look_up(resolver, "a.test").error, dns::Errc::no_servers);
  file.write(naming(second));
  time.advance(1s);
  EXPECT_EQ(addresses_of(resolver, "a.test", Family::v4), std::vector{v4("192.0.2.2")});
}

TEST_P(ResolvConfFileTest, DoesNotReplaceWhatTheOptionsSay) {
  dns::Options chosen = options();
  chosen.servers = {second.address()};
  chosen.search = {"two.test"};
  chosen.ndots = 1;
  dns::Resolver resolver(base, chosen);
  second.answer("a.two.test", {v4("192.0.2.2")});
  second.answer("a.b", {v4("192.0.2.3")});
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(addresses_of(resolver, "a", Family::v4), std::vector{v4("192.0.2.2")});
    EXPECT_EQ(addresses_of(resolver, "a.b", Family::v4), std::vector{v4("192.0.2.3")});
    file.write(naming(server));
    resolver.reload();
  }
  EXPECT_TRUE(server.seen().empty());
}

}  // namespace
}  // namespace event_cpp::test
