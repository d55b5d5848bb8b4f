// Sessions: a later connection begins in fewer steps, and is checked all the same.
#include "tls/support.hpp"

namespace event_cpp::test {
namespace {

using namespace std::chrono_literals;
using co::Task;
using tls::Context;
using tls::Errc;
using tls::Server;
using tls::Version;

class TlsSessionTest : public TlsFixture, public testing::WithParamInterface<Version> {
 protected:
  tls::ClientOptions client_of_version() const {
    tls::ClientOptions options = client_options();
    options.most = GetParam();
    return options;
  }
  // Sends a byte each way, so that the client has read its tickets.
  void talk(Pair& pair) {
    co::TaskGroup tasks(base);
    tasks.spawn([&]() -> Task<> {
      std::array<char, 1> room{};
      co_await pair.server->write("x");
      const std::size_t got = co_await pair.server->read_exactly(room);
      EXPECT_EQ(got, 1U);
    });
    tasks.spawn([&]() -> Task<> {
      std::array<char, 1> room{};
      const std::size_t got = co_await pair.client->read_exactly(room);
      EXPECT_EQ(got, 1U);
      co_await pair.client->write("y");
    });
    EXPECT_TRUE(run_until([&] { return tasks.size() == 0; }));
  }
  bool resumes(const Context& client, const Server& server, const std::string& host = "localhost",
               tls::Session session = {}) {
    new_memory();
    Pair pair = shake_hands(client, server, host, std::move(session));
    if (pair.client == nullptr || pair.server == nullptr) {
      ADD_FAILURE() << text_of(client_failure) << "; " << text_of(server_failure);
      return false;
    }
    talk(pair);
    EXPECT_EQ(pair.client->peer().resumed, pair.server->peer().resumed);
    return pair.client->peer().resumed;
  }
};

INSTANTIATE_TEST_SUITE_P(, TlsSessionTest, testing::Values(Version::tls12, Version::tls13),
                         [](const testing::TestParamInfo<Version>& tested) {
                           return tested.param == Version::tls12 ? "tls12" : "tls13";
                         });

TEST_P(TlsSessionTest, GoOnWithTheSameHostAndContext) {
  const Context client = Context::client(client_of_version());
  const Server server(Context::server(server_options()));
  EXPECT_FALSE(resumes(client, server));
  EXPECT_TRUE(resumes(client, server));
  EXPECT_TRUE(resumes(client, server));
  EXPECT_FALSE(resumes(Context::client(client_of_version()), server));
}

TEST_P(TlsSessionTest, AreNotKeptIfNoneAreWanted) {
  tls::ClientOptions options = client_of_version();
  options.sessions = 0;
  const Context client = Context::client(options);
  const Server server(Context::server(server_options()));
  EXPECT_FALSE(resumes(client, server));
  EXPECT_FALSE(resumes(client, server));
}

TEST_P(TlsSessionTest, AreNotMadeByAServerThatSendsNoTickets) {
  const Context client = Context::client(client_of_version());
  tls::ServerOptions options = server_options();
  options.tickets = 0;
  const Server server(Context::server(options));
  EXPECT_FALSE(resumes(client, server));
  EXPECT_FALSE(resumes(client, server));
}

TEST_P(TlsSessionTest, OfAnotherHostAreCheckedAgain) {
  const Context client = Context::client(client_of_version());
  const Server server(Context::server(server_options({"a.test"})));
  Pair first = shake_hands(client, server, "a.test");
  ASSERT_NE(first.client, nullptr) << text_of(client_failure);
  talk(first);
  const tls::Session session = first.client->session();
  ASSERT_NE(session.state, nullptr);
  EXPECT_TRUE(resumes(client, server, "a.test", session));
  // The server goes on with the session whatever it is asked for.
  new_memory();
  const Pair second = shake_hands(client, server, "b.test", session);
  EXPECT_EQ(second.client, nullptr);
  EXPECT_EQ(error_of(client_failure).code(), Errc::wrong_host) << text_of(client_failure);
  EXPECT_EQ(error_of(client_failure).subject(), "CN=a.test");
}

TEST_P(TlsSessionTest, OfAContextThatChecksLessAreNotOffered) {
  const Server server(Context::server(server_options()));
  tls::ClientOptions options;
  options.most = GetParam();
  const Context insecure = Context::insecure_client(options);
  Pair first = shake_hands(insecure, server);
  ASSERT_NE(first.client, nullptr);
  talk(first);
  EXPECT_FALSE(
      resumes(Context::client(client_of_version()), server, "localhost", first.client->session()));
}

TEST_P(TlsSessionTest, OutliveAReplacedContext) {
  const Context client = Context::client(client_of_version());
  Server server(Context::server(server_options()));
  EXPECT_FALSE(resumes(client, server));
  server.replace(Context::server(server_options()));
  EXPECT_TRUE(resumes(client, server));
}

TEST_P(TlsSessionTest, OutliveOneRotationOfTheKeysOfTicketsAndNotTwo) {
  tls::ServerOptions options = server_options();
  options.ticket_rotation = 1h;
  const Server server(Context::server(options));
  const Context client = Context::client(client_of_version());
  const auto session_of_now = [&] {
    new_memory();
    Pair pair = shake_hands(client, server);
    talk(pair);
    return pair.client->session();
  };
  const tls::Session first = session_of_now();
  time.advance(1h);
  EXPECT_TRUE(resumes(client, server, "localhost", first));
  const tls::Session second = session_of_now();
  time.advance(1h);
  EXPECT_TRUE(resumes(client, server, "localhost", second));
  const tls::Session third = session_of_now();
  time.advance(2h);
  EXPECT_FALSE(resumes(client, server, "localhost", third));
}

TEST_P(TlsSessionTest, AreNotMarkedUnusableByAConnectionThatWasCut) {
  const Context client = Context::client(client_of_version());
  const Server server(Context::server(server_options()));
  Pair pair = shake_hands(client, server);
  talk(pair);
  memory->b().close();
  settle();
  pair = Pair();
  EXPECT_TRUE(resumes(client, server));
}

TEST_P(TlsSessionTest, DoNotGoOnUnderOtherRulesForClients) {
  const Context client = Context::client([&] {
    tls::ClientOptions options = client_of_version();
    options.identity = authority().issue({"somebody"});
    return options;
  }());
  Server server(Context::server(server_options()));
  EXPECT_FALSE(resumes(client, server));
  tls::ServerOptions options = server_options();
  options.client = tls::Ask::required;
  options.client_trust = authority().root_pem();
  server.replace(Context::server(options));
  EXPECT_FALSE(resumes(client, server));
  EXPECT_TRUE(resumes(client, server));
}

TEST_P(TlsSessionTest, TakesEachTicketOfTls13Once) {
  const Context client = Context::client(client_of_version());
  tls::ServerOptions options = server_options();
  options.tickets = 1;
  const Server server(Context::server(options));
  {
    Pair pair = shake_hands(client, server);
    char byte = 0;
    EXPECT_EQ(pair.server->try_write("x"), 1);
    EXPECT_TRUE(run_until([&] { return pair.client->try_read({&byte, 1}) == 1; }));
  }
  // Two connections at once: one of them has the ticket.
  net::Memory other(base);
  new_memory();
  Pair first;
  Pair second;
  co::TaskGroup tasks(base);
  tasks.spawn(accept_into(end_b(), server, first.server, server_failure));
  tasks.spawn(accept_into(borrow(other.b()), server, second.server, server_failure));
  tasks.spawn(connect_into(end_a(), client, "localhost", first.client, client_failure, {}));
  tasks.spawn(
      connect_into(borrow(other.a()), client, "localhost", second.client, client_failure, {}));
  EXPECT_TRUE(run_until([&] { return tasks.size() == 0; }));
  ASSERT_TRUE(first.client != nullptr && second.client != nullptr);
  EXPECT_TRUE(first.client->peer().resumed);
  EXPECT_EQ(second.client->peer().resumed, GetParam() == Version::tls12);
}

}  // namespace
}  // namespace event_cpp::test
