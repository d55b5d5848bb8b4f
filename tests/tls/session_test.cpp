// Sessions: a later connection begins in fewer steps, and is checked all the same.
#include <openssl/rand.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "tls/connection.hpp"
#include "tls/sessions.hpp"
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
    run_until([&] { return tasks.size() == 0; });
  }
  static tls::ServerOptions server_of(tls::Pem pem) {
    tls::ServerOptions options;
    options.names.push_back({{}, std::move(pem)});
    return options;
  }
  static SSL_SESSION* session_in(const tls::Session& session, const Context& context) {
    return tls::detail::session_of(session, *tls::detail::ContextState::of(context));
  }
  static std::int64_t seconds_left(SSL_SESSION* session) {
    void* data = nullptr;
    std::size_t size = 0;
    std::int64_t end = 0;
    EXPECT_EQ(SSL_SESSION_get0_ticket_appdata(session, &data, &size), 1);
    EXPECT_EQ(size, sizeof end);
    if (size == sizeof end) std::memcpy(&end, data, size);
    return end - ::time(nullptr);
  }
  static void set_seconds_left(SSL_SESSION* session, std::int64_t left) {
    const std::int64_t end = ::time(nullptr) + left;
    EXPECT_EQ(SSL_SESSION_set1_ticket_appdata(session, &end, sizeof end), 1);
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

// The first random numbers that a context asks for are for keys of OpenSSL's own.
TEST_P(TlsSessionTest, ResumesAlsoIfThereWasNoRandomNumberForAMoment) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // the only way to let it fail once
  static int asked = 0;
  RAND_METHOD fails_once = *RAND_OpenSSL();
  fails_once.bytes = [](unsigned char* to, int size) {
    return ++asked == 1 ? 0 : RAND_OpenSSL()->bytes(to, size);
  };
  const auto without = [&](auto make) {
    asked = 0;
    RAND_set_rand_method(&fails_once);
    Context made = make();
    RAND_set_rand_method(nullptr);
    EXPECT_GT(asked, 1);
    return made;
  };
#pragma GCC diagnostic pop
  const Context client = without([of = client_of_version()] { return Context::client(of); });
  const Server server(without([of = server_options()] { return Context::server(of); }));
  EXPECT_FALSE(resumes(client, server));
  EXPECT_TRUE(resumes(client, server));
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

TEST_P(TlsSessionTest, DoNotGoOnUnderAnotherTrustInClients) {
  const Context client = Context::client([&] {
    tls::ClientOptions options = client_of_version();
    options.identity = authority().issue({"somebody"});
    return options;
  }());
  tls::ServerOptions options = server_options();
  options.client = tls::Ask::required;
  options.client_trust = authority().root_pem();
  Server server(Context::server(options));
  EXPECT_FALSE(resumes(client, server));
  EXPECT_TRUE(resumes(client, server));
  const tls::test::Authority other;
  options.client_trust = other.root_pem();
  server.replace(Context::server(options));
  new_memory();
  const Pair pair = shake_hands(client, server);
  EXPECT_EQ(pair.server, nullptr);
  EXPECT_EQ(error_of(server_failure).code(), Errc::unknown_issuer) << text_of(server_failure);
}

// When the first certificate of the chain that was verified expires, the authority's included.
TEST_P(TlsSessionTest, AreOfferedAsLongAsEveryCertificateOfTheChainIsValid) {
  const Context client = Context::client(client_of_version());
  constexpr std::chrono::hours kOfTheAuthority = 366 * 24h;
  for (const auto lasts : {2h, 100'000h}) {
    const Server server(
        Context::server(server_of(authority().issue({"localhost"}, Duration(), lasts))));
    new_memory();
    Pair pair = shake_hands(client, server);
    talk(pair);
    const tls::Session session = pair.client->session();
    SSL_SESSION* const kept = session_in(session, client);
    EXPECT_GT(seconds_left(kept), 3600);
    EXPECT_LE(seconds_left(kept), std::chrono::seconds(std::min(lasts, kOfTheAuthority)).count());
    EXPECT_TRUE(resumes(client, server, "localhost", session));
    set_seconds_left(kept, -2);
    EXPECT_FALSE(resumes(client, server, "localhost", session));
  }
}

TEST_P(TlsSessionTest, GiveTheirEndToThoseThatGoOnWithThem) {
  const Context client = Context::client(client_of_version());
  const Server server(Context::server(server_options()));
  Pair pair = shake_hands(client, server);
  talk(pair);
  const tls::Session first = pair.client->session();
  set_seconds_left(session_in(first, client), 100);
  new_memory();
  pair = shake_hands(client, server, "localhost", first);
  talk(pair);
  EXPECT_TRUE(pair.client->peer().resumed);
  const tls::Session second = pair.client->session();
  EXPECT_LE(seconds_left(session_in(second, client)), 100);
}

TEST_P(TlsSessionTest, AreNotTakenOnceTheyDoNotHold) {
  const Context client = Context::client(client_of_version());
  const Server server(Context::server(server_options()));
  Pair pair = shake_hands(client, server);
  talk(pair);
  const tls::Session session = pair.client->session();
  tls::detail::Sessions sessions(10);
  for (const int left : {100, -2}) {
    tls::detail::SessionPtr copy(SSL_SESSION_dup(session_in(session, client)));
    set_seconds_left(copy.get(), left);
    sessions.keep("a", std::move(copy));
    EXPECT_EQ(sessions.take("a") != nullptr, left > 0);
  }
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
    run_until([&] { return pair.client->try_read({&byte, 1}) == 1; });
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
  run_until([&] { return tasks.size() == 0; });
  ASSERT_TRUE(first.client != nullptr && second.client != nullptr);
  EXPECT_TRUE(first.client->peer().resumed);
  EXPECT_EQ(second.client->peer().resumed, GetParam() == Version::tls12);
}

}  // namespace
}  // namespace event_cpp::test
