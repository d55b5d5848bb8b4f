// net::connect() and net::resolve() ask a Resolver, whoever made it.
#include "dns/support.hpp"
#include "event/net/connect.hpp"

namespace event_cpp::test {
namespace {

struct Connected {
  net::Socket socket;
  std::error_code error;
  bool done = false;
};

co::Task<> connect(std::string host, int port, Connected& connected) {
  try {
    net::Socket socket = co_await net::connect(std::move(host), port);
    connected.socket = std::move(socket);
  } catch (const std::system_error& error) {
    connected.error = error.code();
  }
  connected.done = true;
}

class ConnectByNameTest : public EveryNetworkWithNames {
 protected:
  Connected connect_to(std::string host, int port) {
    Connected connected;
    co::TaskGroup tasks(base);
    tasks.spawn(connect(std::move(host), port, connected));
    run_until([&] { return connected.done; });
    return connected;
  }
};
ON_EVERY_NETWORK(ConnectByNameTest);

TEST_P(ConnectByNameTest, UsesTheResolverOfTheBase) {
  const net::Listener listener(base, net::Address::loopback(0));
  const dns::Resolver resolver(base, only({server.address()}));
  server.answer("a.test", {v4("127.0.0.1")});
  const Connected connected = connect_to("a.test", listener.address().port());
  EXPECT_EQ(connected.socket.peer(), listener.address());
  EXPECT_EQ(server.seen().size(), 2U);
}

TEST_P(ConnectByNameTest, ReportsTheErrorOfTheResolver) {
  const dns::Resolver resolver(base, only({server.address()}));
  EXPECT_EQ(connect_to("no.test", 80).error, dns::Errc::no_such_name);
  EXPECT_EQ(connect_to("a b", 80).error, dns::Errc::bad_name);
  EXPECT_EQ(connect_to("127.0.0.1:80", 81).error, dns::Errc::bad_name);
}

TEST_P(ConnectByNameTest, UsesTheLastResolverThatIsStillThere) {
  Server second(base);
  const dns::Resolver first(base, only({server.address()}));
  {
    const dns::Resolver later(base, only({second.address()}));
    connect_to("a.test", 80);
    EXPECT_TRUE(server.seen().empty());
    EXPECT_FALSE(second.seen().empty());
  }
  connect_to("a.test", 80);
  EXPECT_FALSE(server.seen().empty());
  dns::Resolver closed(base, only({second.address()}));
  closed.close();
  connect_to("b.test", 80);
  EXPECT_EQ(server.seen().back(), "b.test");
}

TEST_P(ConnectByNameTest, UsesTheFunctionOfTheBaseBeforeAnyResolver) {
  int asked = 0;
  net::set_resolver(base, [&asked](std::string, int port) -> co::Task<std::vector<net::Address>> {
    ++asked;
    co_return std::vector<net::Address>{net::Address::loopback(port)};
  });
  {
    const dns::Resolver resolver(base, only({server.address()}));
    connect_to("a.test", 1);
    EXPECT_EQ(asked, 1);
  }
  connect_to("a.test", 1);
  EXPECT_EQ(asked, 2);
  EXPECT_TRUE(server.seen().empty());
  net::set_resolver(base, {});
  const dns::Resolver resolver(base, only({server.address()}));
  connect_to("a.test", 1);
  EXPECT_EQ(asked, 2);
  EXPECT_FALSE(server.seen().empty());
}

TEST_P(ConnectByNameTest, NeedsNoResolverToBeMade) {
  // That it is no thread which answers: getaddrinfo(3) knows another error.
  EXPECT_EQ(connect_to("1.2", 80).error, dns::Errc::bad_name);
  const net::Listener listener(base, net::Address::loopback(0));
  EXPECT_TRUE(connect_to("a.localhost", listener.address().port()).socket);
}

class RaceByNameTest : public ToyNames {};

TEST_F(RaceByNameTest, BeginsWithoutTheFamilyThatIsSilent) {
  const net::Listener listener(base, net::Address::loopback(80));
  const dns::Resolver resolver(base, only({server->address()}));
  server->answer("a.test", {v4("127.0.0.1")});
  server->fault("a.test", Fault::drop, -1, Family::v6);
  Connected connected;
  tasks->spawn(connect("a.test", 80, connected));
  pass(49ms);
  EXPECT_FALSE(connected.done);
  pass(1ms);
  EXPECT_EQ(connected.socket.peer(), listener.address());
}

}  // namespace
}  // namespace event_cpp::test
