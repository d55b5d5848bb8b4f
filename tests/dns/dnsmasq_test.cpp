// A name server from elsewhere.
#include <memory>
#include <string>
#include <vector>

#include "dns/support.hpp"
#include "examples/child_process.hpp"

namespace event_cpp::test {
namespace {

constexpr const char* kDnsmasq = "/usr/sbin/dnsmasq";

class DnsmasqTest : public EveryBackendCo {
 protected:
  void SetUp() override {
    if (::access(kDnsmasq, X_OK) != 0) GTEST_SKIP() << "needs dnsmasq (Debian: dnsmasq-base)";
    start();
  }

  // On a port that is free, and may have become another's when it binds it.
  void start() {
    constexpr int kAttempts = 5;
    for (int attempt = 0; attempt < kAttempts && !answers_; ++attempt) {
      address_ = net::Datagram(base, net::Address::loopback(0)).address();
      std::vector<std::string> command{kDnsmasq,
                                       "--keep-in-foreground",
                                       "--conf-file=/dev/null",
                                       "--no-resolv",
                                       "--no-hosts",
                                       "--bind-interfaces",
                                       "--listen-address=127.0.0.1",
                                       "--user=root",
                                       "--pid-file=",
                                       "--local=/test/",
                                       "--local-ttl=7",
                                       "--host-record=host.test,192.0.2.2,2001:db8::2",
                                       "--cname=www.test,host.test",
                                       "--port=" + std::to_string(address_.port())};
      for (int i = 1; i <= 100; ++i) {
        command.push_back("--host-record=many.test,192.0.2." + std::to_string(i));
      }
      server_ = std::make_unique<examples_test::ChildProcess>(command);
      const dns::Resolver resolver(base, patient());
      answers_ = run_task(base, await_answer());
    }
    ASSERT_TRUE(answers_) << "dnsmasq does not answer";
  }
  dns::Options patient() {
    dns::Options options = only({address_});
    options.timeout = 5s;
    return options;
  }
  static co::Task<bool> await_answer() {
    for (int i = 0; i < 300; ++i) {
      std::error_code code;
      try {
        const auto found = co_await net::resolve("host.test", 80);
        static_cast<void>(found);
      } catch (const std::system_error& error) {
        code = error.code();
      }
      if (!code) co_return true;
      co_await co::sleep(10ms);
    }
    co_return false;
  }

  Lookup look_up(const std::string& name, Family family = Family::any) {
    dns::Resolver resolver(base, patient());
    Lookup lookup;
    run_task(base, test::look_up(resolver, name, family, lookup));
    stats = resolver.stats();
    return lookup;
  }

  Base base{real_time()};
  dns::Resolver::Stats stats;

 private:
  net::Address address_;
  std::unique_ptr<examples_test::ChildProcess> server_;
  bool answers_ = false;
};

BACKEND_TEST(DnsmasqTest, KnowsTheAddressesOfAName) {
  const Lookup lookup = look_up("host.test");
  std::vector<net::Address> addresses = lookup.answer.addresses;
  std::sort(addresses.begin(), addresses.end());
  EXPECT_EQ(addresses, (std::vector{v4("192.0.2.2"), v6("2001:db8::2")}));
  EXPECT_GT(lookup.answer.ttl, 0s);
  EXPECT_LE(lookup.answer.ttl, 7s);
}

BACKEND_TEST(DnsmasqTest, KnowsAnAlias) {
  const Lookup lookup = look_up("WWW.test.", Family::v4);
  EXPECT_EQ(lookup.answer.addresses, std::vector{v4("192.0.2.2")});
  EXPECT_EQ(lookup.answer.canonical, "host.test");
}

BACKEND_TEST(DnsmasqTest, TellsWhatDoesNotExist) {
  EXPECT_EQ(look_up("no.test").error, dns::Errc::no_such_name);
  EXPECT_EQ(look_up("many.test", Family::v6).error, dns::Errc::no_address);
}

BACKEND_TEST(DnsmasqTest, RefusesNamesThatAreNotItsOwn) {
  EXPECT_EQ(look_up("other.example").error, dns::Errc::server_failed);
}

BACKEND_TEST(DnsmasqTest, AnswersOverTcpWhatIsTooLong) {
  EXPECT_EQ(look_up("many.test", Family::v4).answer.addresses.size(), 64U);  // as many as are kept
  EXPECT_EQ(stats.tcp, 1U);
}

}  // namespace
}  // namespace event_cpp::test
