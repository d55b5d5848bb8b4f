// Server: certificates by name, certificates of clients, reloading, and serve().
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <atomic>
#include <thread>

#include "tls/support.hpp"

namespace event_cpp::test {
namespace {

using namespace std::chrono_literals;
using co::Task;
using tls::Context;
using tls::Errc;
using tls::Server;

class TlsServerTest : public TlsFixture {
 protected:
  // The subject that a server shows to who asks for `host`.
  std::string shown(const Server& server, const std::string& host) {
    new_memory();
    const Pair pair = shake_hands(Context::insecure_client(), server, host);
    return pair.client != nullptr ? pair.client->peer().subject : text_of(client_failure);
  }
  static tls::ServerOptions asking(tls::Ask ask) {
    tls::ServerOptions options = server_options();
    options.client = ask;
    options.client_trust = authority().root_pem();
    return options;
  }
  static Context client_with(tls::Pem identity) {
    tls::ClientOptions options = client_options();
    options.identity = std::move(identity);
    return Context::client(options);
  }
};

TEST_F(TlsServerTest, ShowsTheCertificateForTheNameThatIsAskedFor) {
  tls::ServerOptions options;
  options.names.push_back({{}, authority().issue({"first.test"})});
  options.names.push_back({{}, authority().issue({"second.test", "third.test"})});
  options.names.push_back({{"*.wild.test", "given.test"}, authority().issue({"wild"})});
  const Server server(Context::server(options));
  EXPECT_EQ(shown(server, "first.test"), "CN=first.test");
  EXPECT_EQ(shown(server, "second.test"), "CN=second.test");
  EXPECT_EQ(shown(server, "THIRD.test"), "CN=second.test");
  EXPECT_EQ(shown(server, "a.wild.test"), "CN=wild");
  EXPECT_EQ(shown(server, "given.test"), "CN=wild");
  EXPECT_EQ(shown(server, "a.b.wild.test"), "CN=first.test");
  EXPECT_EQ(shown(server, "unknown.test"), "CN=first.test");
  EXPECT_EQ(shown(server, ""), "CN=first.test");
}

TEST_F(TlsServerTest, RefusesANameThatItDoesNotKnowIfToldSo) {
  tls::ServerOptions options = server_options({"first.test"});
  options.unknown_name_gets_first = false;
  const Server server(Context::server(options));
  EXPECT_EQ(shown(server, "first.test"), "CN=first.test");
  EXPECT_EQ(shown(server, ""), "CN=first.test");
  shown(server, "unknown.test");
  EXPECT_EQ(error_of(client_failure).code(), Errc::unknown_name) << text_of(client_failure);
  EXPECT_TRUE(error_of(client_failure).by_peer());
  EXPECT_EQ(error_of(server_failure).code(), Errc::unknown_name) << text_of(server_failure);
}

TEST_F(TlsServerTest, KeepsProtocolsAndClientsCertificatesForEachName) {
  tls::ServerOptions options = asking(tls::Ask::required);
  options.names.push_back({{}, authority().issue({"second.test"})});
  options.alpn = {"h2"};
  const Server server(Context::server(options));
  tls::ClientOptions client = client_options();
  client.alpn = {"h2"};
  client.identity = authority().issue({"somebody"});
  const Pair pair = shake_hands(Context::client(client), server, "second.test");
  ASSERT_NE(pair.server, nullptr) << text_of(server_failure);
  EXPECT_EQ(pair.server->peer().alpn, "h2");
  EXPECT_EQ(pair.server->peer().subject, "CN=somebody");
  EXPECT_EQ(pair.server->peer().chain_pem.size(), 2U);
  EXPECT_EQ(pair.client->peer().subject, "CN=second.test");
}

TEST_F(TlsServerTest, TellsAClientWithoutACertificateAtItsFirstRead) {
  Pair pair =
      shake_hands(authority().trusting(), Server(Context::server(asking(tls::Ask::required))));
  EXPECT_EQ(error_of(server_failure).code(), Errc::certificate_required);
  EXPECT_FALSE(error_of(server_failure).by_peer());
  ASSERT_NE(pair.client, nullptr);  // TLS 1.3
  const tls::Error error = read_error(*pair.client);
  EXPECT_EQ(error.code(), Errc::certificate_required) << error.what();
  EXPECT_EQ(error.what(), std::string("localhost: refused by the peer: a certificate is required "
                                      "(alert 116)"));
  EXPECT_TRUE(error.by_peer());
  EXPECT_EQ(error.alert(), 116);
  EXPECT_EQ(pair.client->why(), error.what());
}

TEST_F(TlsServerTest, TellsAClientWhyAtItsFirstWriteAsWell) {
  Pair pair =
      shake_hands(authority().trusting(), Server(Context::server(asking(tls::Ask::required))));
  ASSERT_NE(pair.client, nullptr);
  const net::Io io = pair.client->try_write("hello");
  EXPECT_EQ(net::to_error(io), Errc::certificate_required) << net::to_error(io).message();
}

// OpenSSL would complete the chain from the authorities that are trusted for clients.
TEST_F(TlsServerTest, ShowsNoMoreOfAChainThanItWasGiven) {
  tls::ServerOptions options = asking(tls::Ask::optional);
  options.client_trust += authority().issue({"somebody"}).certificates;
  options.names = {{{}, authority().without_chain({"localhost"})}};
  const Pair pair = shake_hands(Context::insecure_client(), Server(Context::server(options)));
  ASSERT_NE(pair.client, nullptr) << text_of(client_failure);
  EXPECT_EQ(pair.client->peer().chain_pem.size(), 1U);
}

TEST_F(TlsServerTest, LetsAClientComeWithoutACertificateIfThatIsOptional) {
  const Server server(Context::server(asking(tls::Ask::optional)));
  Pair pair = shake_hands(authority().trusting(), server);
  ASSERT_NE(pair.server, nullptr);
  EXPECT_EQ(pair.server->peer().subject, "");
  new_memory();
  pair = shake_hands(client_with(authority().issue({"somebody"})), server);
  ASSERT_NE(pair.server, nullptr);
  EXPECT_EQ(pair.server->peer().subject, "CN=somebody");
}

TEST_F(TlsServerTest, RefusesCertificatesOfClientsThatAreNoGood) {
  const tls::test::Authority other;
  struct Case {
    tls::Pem identity;
    Errc code;
  };
  for (const Case& each :
       {Case{other.issue({"somebody"}), Errc::unknown_issuer},
        Case{authority().issue({"somebody"}, -2h, 1h), Errc::certificate_expired},
        Case{authority().wrong_purpose({"somebody"}), Errc::wrong_purpose}}) {
    for (const tls::Ask ask : {tls::Ask::optional, tls::Ask::required}) {
      new_memory();
      Pair pair = shake_hands(client_with(each.identity), Server(Context::server(asking(ask))));
      EXPECT_EQ(error_of(server_failure).code(), each.code) << text_of(server_failure);
      ASSERT_NE(pair.client, nullptr);
      const tls::Error error = read_error(*pair.client);
      EXPECT_EQ(error.code(), each.code) << error.what();
      EXPECT_TRUE(error.by_peer());
    }
  }
}

TEST_F(TlsServerTest, ShowsAReplacedCertificateToWhoComesNext) {
  Server server(Context::server(server_options({"old.test"})));
  EXPECT_EQ(shown(server, "x.test"), "CN=old.test");
  const Server copy = server;
  server.replace(Context::server(server_options({"new.test"})));
  EXPECT_EQ(shown(server, "x.test"), "CN=new.test");
  EXPECT_EQ(shown(copy, "x.test"), "CN=new.test");
  server.replace(authority().trusting());  // a client's: nothing happens
  EXPECT_EQ(shown(server, "x.test"), "CN=new.test");
}

TEST_F(TlsServerTest, FinishesHandshakesUnderWayWithTheOldCertificate) {
  Server server(Context::server(server_options({"old.test"})));
  Pair pair;
  co::TaskGroup tasks(base);
  tasks.spawn(accept_into(end_b(), server, pair.server, server_failure));
  server.replace(Context::server(server_options({"new.test"})));
  tasks.spawn(
      connect_into(end_a(), Context::insecure_client(), "x.test", pair.client, client_failure, {}));
  run_until([&] { return tasks.size() == 0; });
  ASSERT_NE(pair.client, nullptr);
  EXPECT_EQ(pair.client->peer().subject, "CN=old.test");
}

TEST_F(TlsServerTest, IsForServersContextsAlone) {
  EXPECT_THROW(Server{authority().trusting()}, std::system_error);
  std::unique_ptr<tls::Stream> stream;
  run(connect_into(end_a(), Context::server(server_options()), "localhost", stream, client_failure,
                   {}));
  EXPECT_EQ(error_of(client_failure).code(), std::errc::invalid_argument);
}

// Self-signed, with a key that OpenSSL takes for too weak by default.
tls::Pem weak_identity() {
  const auto text_of = [](auto write) {
    const std::unique_ptr<BIO, decltype(&::BIO_free)> text(::BIO_new(::BIO_s_mem()), &::BIO_free);
    write(text.get());
    char* data = nullptr;
    const long size = BIO_get_mem_data(text.get(), &data);
    return std::string(data, static_cast<std::size_t>(size));
  };
  const std::unique_ptr<EVP_PKEY, decltype(&::EVP_PKEY_free)> key(::EVP_RSA_gen(512),
                                                                  &::EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&::X509_free)> made(::X509_new(), &::X509_free);
  ::X509_gmtime_adj(X509_getm_notBefore(made.get()), 0);
  ::X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
  ::X509_set_pubkey(made.get(), key.get());
  ::X509_sign(made.get(), key.get(), ::EVP_sha256());
  return {text_of([&](BIO* to) { ::PEM_write_bio_X509(to, made.get()); }), text_of([&](BIO* to) {
            ::PEM_write_bio_PrivateKey(to, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

TEST_F(TlsServerTest, RefusesCertificatesThatItCouldNotShowWhereverTheyStand) {
  for (const std::size_t place : {0U, 1U}) {
    tls::ServerOptions options = server_options();
    options.names.push_back({{"other.test"}, authority().issue({"other.test"})});
    EXPECT_NO_THROW(Context::server(options));
    options.names[place] = {{"weak.test"}, weak_identity()};
    try {
      Context::server(options);
      ADD_FAILURE() << place;
    } catch (const tls::Error& error) {
      EXPECT_EQ(error.code(), Errc::bad_certificate);
      EXPECT_TRUE(std::string_view(error.what())
                      .starts_with("ServerOptions::names[" + std::to_string(place) + "]"))
          << error.what();
    }
  }
}

// Over sockets.
class TlsServeTest : public EveryBackendCo {};

Task<> echo_tls(Base&, tls::Stream& stream) {
  for (;;) {
    const net::Chunk chunk = co_await stream.receive();
    if (!chunk) break;
    co_await stream.write(chunk);
  }
}

Task<std::string> ask(Base& base, const Context& context, int port, std::string text) {
  tls::Stream stream = co_await tls::connect(base, context, "localhost", port);
  co_await stream.write(text);
  co_await stream.shutdown();
  std::string answer = co_await read_all(stream);
  co_await stream.close();
  co_return answer;
}

Task<std::string> subject_at(Base& base, const Context& context, std::string host, int port) {
  tls::Stream stream = co_await tls::connect(base, context, std::move(host), port);
  std::string subject = stream.peer().subject;
  co_await stream.close();
  co_return subject;
}

// Keeps what serve() tells of.
net::ServeOptions keeping(std::vector<std::exception_ptr>& failures) {
  net::ServeOptions serve_options;
  serve_options.on_error = [&failures](std::exception_ptr failure) {
    failures.push_back(std::move(failure));
  };
  return serve_options;
}

BACKEND_TEST(TlsServeTest, AnswersClientsBesideEachOther) {
  Base base(real_time());
  const Bounded bounded(base);
  net::Listener listener(base, net::Address::loopback(0));
  Server server(Context::server(server_options()));
  co::TaskGroup serving(base);
  serving.spawn(tls::serve(listener, server, &echo_tls));
  const Context context = authority().trusting();
  const int port = listener.address().port();
  int answered = 0;
  co::TaskGroup clients(base);
  for (int i = 0; i < 10; ++i) {
    clients.spawn([&, i]() -> Task<> {
      const std::string text(static_cast<std::size_t>(i) * 30'000 + 1, 'x');
      const std::string answer = co_await ask(base, context, port, text);
      EXPECT_TRUE(answer == text);
      ++answered;
    });
  }
  while (clients.size() > 0) base.loop(RunMode::once);
  EXPECT_EQ(answered, 10);
  serving.cancel();
  while (serving.size() > 0) base.loop(RunMode::once);
}

BACKEND_TEST(TlsServeTest, LeavesAConnectionToAHandlerThatKeepsIt) {
  Base base(real_time());
  const Bounded bounded(base);
  net::Listener listener(base, net::Address::loopback(0));
  Server server(Context::server(server_options()));
  std::vector<tls::Stream> kept;
  const auto handler = [&](Base&, tls::Stream& stream) -> Task<> {
    kept.push_back(std::move(stream));
    co_return;
  };
  std::vector<std::exception_ptr> failures;
  co::TaskGroup serving(base);
  serving.spawn(tls::serve(listener, server, handler, keeping(failures)));
  co::TaskGroup clients(base);
  std::string answer;
  clients.spawn([&]() -> Task<> {
    answer = co_await ask(base, authority().trusting(), listener.address().port(), "hello");
  });
  while (kept.empty()) base.loop(RunMode::once);
  clients.spawn([&]() -> Task<> {
    co_await echo_tls(base, kept.front());
    co_await kept.front().close();
  });
  while (clients.size() > 0) base.loop(RunMode::once);
  EXPECT_EQ(answer, "hello");
  EXPECT_TRUE(failures.empty());
}

BACKEND_TEST(TlsServeTest, LooksUpTheHostOfAClientAsItWasGiven) {
  Base base(real_time());
  const Bounded bounded(base);
  net::Listener listener(base, net::Address::loopback(0));
  Server server(Context::server(server_options({"localhost", "::1"})));
  co::TaskGroup serving(base);
  serving.spawn(tls::serve(listener, server, &echo_tls));
  std::vector<std::string> hosts;
  const net::Address address = listener.address();
  net::set_resolver(base, [&](std::string host, int) -> Task<std::vector<net::Address>> {
    hosts.push_back(host);
    co_return std::vector<net::Address>{address};
  });
  const Context context = authority().trusting();
  // A dot at the end says that nothing is to be appended, a scope through which interface.
  for (const char* const host : {"localhost", "localhost.", "::1%nowhere", "[::1%nowhere]"}) {
    const std::string peer = co::run(base, subject_at(base, context, host, address.port()));
    EXPECT_EQ(peer, "CN=localhost") << host;
  }
  EXPECT_EQ(hosts,
            (std::vector<std::string>{"localhost", "localhost.", "::1%nowhere", "::1%nowhere"}));
}

BACKEND_TEST(TlsServeTest, TellsOfHandshakesThatFailAndGoesOn) {
  Base base(real_time());
  const Bounded bounded(base);
  net::Listener listener(base, net::Address::loopback(0));
  Server server(Context::server(server_options()));
  std::vector<std::exception_ptr> failures;
  co::TaskGroup serving(base);
  serving.spawn(tls::serve(listener, server, &echo_tls, 1, keeping(failures)));
  const int port = listener.address().port();
  std::string client;
  const auto talk = [&]() -> Task<> {
    net::Socket socket = co_await net::connect("127.0.0.1", port);
    client = socket.address().text();
    net::SocketStream plain(base, std::move(socket));
    co_await plain.write("GET / HTTP/1.0\r\n\r\n");
    const std::string answer = co_await read_all(plain);
    EXPECT_EQ(answer, "");  // and not a reset
    const Context context = authority().trusting();
    const std::string echoed = co_await ask(base, context, port, "hello");
    EXPECT_EQ(echoed, "hello");
  };
  co::TaskGroup clients(base);
  clients.spawn(talk);
  while (clients.size() > 0) base.loop(RunMode::once);
  ASSERT_EQ(failures.size(), 1U);
  EXPECT_EQ(text_of(failures[0]), client + ": the client speaks HTTP without TLS");
}

BACKEND_TEST(TlsServeTest, NamesAClientThatResetsWhileItShakesHands) {
  Base base(real_time());
  const Bounded bounded(base);
  net::Listener listener(base, net::Address::loopback(0));
  const Server server(Context::server(server_options()));
  bool accepted = false;
  std::string name;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    net::Socket socket = co_await listener.accept();
    accepted = true;
    auto below = std::make_unique<net::SocketStream>(base, std::move(socket));
    try {
      co_await tls::accept(std::move(below), server);
    } catch (const tls::Error& error) {
      name = error.host();
    }
  });
  net::Socket client = co::run(base, net::connect("127.0.0.1", listener.address().port()));
  while (!accepted) base.loop(RunMode::once);
  const std::string address = client.address().text();
  client.set_reset_on_close();
  client.close();
  while (tasks.size() > 0) base.loop(RunMode::once);
  EXPECT_EQ(name, address);
}

BACKEND_TEST(TlsServeTest, NamesAClientWhoseBytesAreBadAfterTheHandshake) {
  Base base(real_time());
  const Bounded bounded(base);
  net::Listener listener(base, net::Address::loopback(0));
  Server server(Context::server(server_options()));
  std::vector<std::exception_ptr> failures;
  co::TaskGroup serving(base);
  serving.spawn(tls::serve(listener, server, &echo_tls, keeping(failures)));
  std::string name;
  const auto talk = [&]() -> Task<> {
    net::Socket socket = co_await net::connect("127.0.0.1", listener.address().port());
    name = socket.address().text();
    auto below = std::make_unique<net::SocketStream>(base, std::move(socket));
    const Context context = authority().trusting();
    tls::Stream stream = co_await tls::client(std::move(below), context, "localhost");
    stream.below().try_write("no record");
    const co::Result<net::Chunk> alert = co_await stream.try_receive();
    EXPECT_TRUE(alert.error);
  };
  co::TaskGroup clients(base);
  clients.spawn(talk);
  while (clients.size() > 0 || failures.empty()) base.loop(RunMode::once);
  const std::string failure = text_of(failures.back());
  EXPECT_EQ(failure.substr(0, name.size() + 2), name + ": ") << failure;
}

BACKEND_TEST(TlsServeTest, TakesOptionsWithoutANumberAndZeroForTheUsualOne) {
  Base base(real_time());
  const Bounded bounded(base);
  Server server(Context::server(server_options()));
  const Context context = authority().trusting();
  for (const bool has_number : {false, true}) {
    net::Listener listener(base, net::Address::loopback(0));
    co::TaskGroup serving(base);
    if (has_number) {
      serving.spawn(tls::serve(listener, server, &echo_tls, 0));
    } else {
      serving.spawn(tls::serve(listener, server, &echo_tls, net::ServeOptions()));
    }
    EXPECT_EQ(co::run(base, ask(base, context, listener.address().port(), "hello")), "hello");
  }
}

BACKEND_TEST(TlsServeTest, EndsAHandshakeAtTheLimitThatItIsGiven) {
  Base base(real_time());
  const Bounded bounded(base, 9s);  // the limit is 10 s by default
  net::Listener listener(base, net::Address::loopback(0));
  Server server(Context::server(server_options()));
  std::vector<std::exception_ptr> failures;
  tls::Limits limits;
  limits.handshake = 20ms;
  co::TaskGroup serving(base);
  serving.spawn(tls::serve(listener, server, &echo_tls, 0, keeping(failures), limits));
  const net::Socket silent = co::run(base, net::connect("127.0.0.1", listener.address().port()));
  while (failures.empty()) base.loop(RunMode::once);
  EXPECT_EQ(error_of(failures.back()).code(), std::errc::timed_out);
}

BACKEND_TEST(TlsServeTest, ShakesHandsWithNoMoreThanItIsToldAtOnce) {
  Base base(real_time());
  const Bounded bounded(base);
  net::Listener listener(base, net::Address::loopback(0));
  Server server(Context::server(server_options()));
  co::TaskGroup serving(base);
  serving.spawn(tls::serve(listener, server, &echo_tls, 2));
  const int port = listener.address().port();
  std::string echoed;
  // Two that say nothing keep a third one waiting until one of them leaves.
  const auto talk = [&]() -> Task<> {
    auto first = std::make_unique<net::Socket>();
    *first = co_await net::connect("127.0.0.1", port);
    net::Socket second = co_await net::connect("127.0.0.1", port);
    const Context context = authority().trusting();
    co::TaskGroup third(base);
    third.spawn([&]() -> Task<> { echoed = co_await ask(base, context, port, "hello"); });
    co_await co::sleep(30ms);
    EXPECT_EQ(echoed, "");
    first.reset();
    co_await third.join();
    EXPECT_EQ(echoed, "hello");
  };
  co::TaskGroup clients(base);
  clients.spawn(talk);
  while (clients.size() > 0) base.loop(RunMode::once);
}

BACKEND_TEST(TlsServeTest, ServesOnSeveralThreadsWithOneServer) {
  Server server(Context::server(server_options()));
  net::Workers workers(2, net::Address::loopback(0), [server](Base& base, net::Socket socket) {
    return [](Base& its_base, net::Socket connection, Server shared) -> Task<> {
      auto below = std::make_unique<net::SocketStream>(its_base, std::move(connection));
      tls::Stream stream = co_await tls::accept(std::move(below), shared);
      co_await echo_tls(its_base, stream);
      co_await stream.close();
    }(base, std::move(socket), server);
  });
  std::atomic<bool> stop{false};
  const tls::ServerOptions next = server_options();
  std::thread reloading([&] {
    while (!stop) server.replace(Context::server(next));
  });
  Base base(real_time());
  const Bounded bounded(base);
  const Context context = authority().trusting();
  for (int i = 0; i < 20; ++i) {
    const std::string answer = co::run(base, ask(base, context, workers.address().port(), "hello"));
    EXPECT_EQ(answer, "hello");
  }
  stop = true;
  reloading.join();
  workers.stop();
}

}  // namespace
}  // namespace event_cpp::test
