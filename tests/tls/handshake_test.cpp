// Handshakes: what is agreed, and why one is refused, at both ends.
#include <fstream>

#include "tls/support.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using tls::Context;
using tls::Errc;
using tls::Server;
using tls::Version;

class TlsHandshakeTest : public TlsFixture {
 protected:
  // The client refuses what the server shows.
  void expect_refusal(tls::Pem pem, Errc code, const std::string& text,
                      const std::string& host = "localhost") {
    tls::ServerOptions options;
    options.names.push_back({{}, std::move(pem)});
    const Pair pair = shake_hands(authority().trusting(), Server(Context::server(options)), host);
    EXPECT_EQ(pair.client, nullptr);
    const tls::Error error = error_of(client_failure);
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(error.what(), text);
    EXPECT_EQ(error.host(), host);
    EXPECT_FALSE(error.by_peer());
    EXPECT_EQ(error.alert(), -1);
  }
  // The server sees the client's alert, and not a connection that was cut. With TLS 1.3 that may be
  // after its own handshake.
  tls::Error error_at_server(Pair& pair) {
    if (pair.server == nullptr) return error_of(server_failure);
    return read_error(*pair.server);
  }
};

TEST_F(TlsHandshakeTest, AgreesOnTheLatestVersionAndTellsWhoIsThere) {
  tls::ClientOptions client = client_options();
  client.alpn = {"h2", "http/1.1"};
  tls::ServerOptions server = server_options();
  server.alpn = {"http/1.1", "h2"};
  const Pair pair = shake_hands(Context::client(client), Server(Context::server(server)));
  ASSERT_NE(pair.client, nullptr) << text_of(client_failure);
  ASSERT_NE(pair.server, nullptr) << text_of(server_failure);
  const tls::Peer& peer = pair.client->peer();
  EXPECT_EQ(peer.version, Version::tls13);
  EXPECT_EQ(peer.cipher, "TLS_AES_256_GCM_SHA384");
  EXPECT_EQ(peer.alpn, "http/1.1");  // as the server prefers
  EXPECT_EQ(peer.subject, "CN=localhost");
  EXPECT_EQ(peer.server_name, "localhost");
  EXPECT_FALSE(peer.resumed);
  ASSERT_EQ(peer.chain_pem.size(), 2U);
  EXPECT_TRUE(peer.chain_pem[0].starts_with("-----BEGIN CERTIFICATE-----"));
  EXPECT_EQ(pair.server->peer().alpn, "http/1.1");
  EXPECT_EQ(pair.server->peer().server_name, "localhost");
  EXPECT_EQ(pair.server->peer().subject, "");
  EXPECT_TRUE(pair.server->peer().chain_pem.empty());
}

TEST_F(TlsHandshakeTest, RefusesAnExpiredCertificate) {
  using namespace std::chrono_literals;
  expect_refusal(authority().issue({"localhost"}, -2h, 1h), Errc::certificate_expired,
                 "localhost: certificate has expired (CN=localhost, depth 0)");
}

TEST_F(TlsHandshakeTest, RefusesACertificateThatIsNotValidYet) {
  using namespace std::chrono_literals;
  expect_refusal(authority().issue({"localhost"}, 1h, 1h), Errc::certificate_not_yet_valid,
                 "localhost: certificate is not valid yet (CN=localhost, depth 0)");
}

TEST_F(TlsHandshakeTest, RefusesACertificateForAnotherHost) {
  expect_refusal(authority().issue({"other.test"}), Errc::wrong_host,
                 "localhost: certificate is for another host (CN=other.test, depth 0)");
}

TEST_F(TlsHandshakeTest, RefusesASelfSignedCertificate) {
  expect_refusal(tls::test::Authority::self_signed({"localhost"}), Errc::self_signed,
                 "localhost: certificate is self-signed and not trusted (CN=localhost, depth 0)");
}

TEST_F(TlsHandshakeTest, RefusesACertificateWithoutThatOfItsIssuer) {
  expect_refusal(authority().without_chain({"localhost"}), Errc::incomplete_chain,
                 "localhost: no trusted authority has signed the certificate, and the peer sent no "
                 "other certificate with it (CN=localhost, depth 0)");
}

TEST_F(TlsHandshakeTest, RefusesACertificateOfAnAuthorityThatIsNotTrusted) {
  const tls::test::Authority other;
  expect_refusal(other.issue({"localhost"}), Errc::unknown_issuer,
                 "localhost: issuer of the certificate is not trusted (CN=event test authority, "
                 "depth 1)");
}

TEST_F(TlsHandshakeTest, RefusesACertificateForAnotherPurpose) {
  expect_refusal(authority().wrong_purpose({"localhost"}), Errc::wrong_purpose,
                 "localhost: certificate is for another purpose (CN=localhost, depth 0)");
}

TEST_F(TlsHandshakeTest, TellsTheServerWhyTheClientRefuses) {
  tls::ServerOptions options;
  options.names.push_back({{}, tls::test::Authority::self_signed({"localhost"})});
  Pair pair = shake_hands(authority().trusting(), Server(Context::server(options)));
  const tls::Error error = error_at_server(pair);
  EXPECT_EQ(error.code(), Errc::unknown_issuer) << error.what();
  EXPECT_TRUE(error.by_peer());
  EXPECT_EQ(error.alert(), 48);
  EXPECT_EQ(error.what(), std::string("refused by the peer: issuer of the certificate is not "
                                      "trusted (alert 48)"));
}

TEST_F(TlsHandshakeTest, ChecksAddressesAgainstAddressesAlone) {
  tls::ServerOptions options = server_options({"127.0.0.1", "::1", "localhost"});
  const Server server(Context::server(options));
  const Context client = authority().trusting();
  for (const char* const host :
       {"127.0.0.1", "::1", "[::1]", "localhost", "localhost.", "LocalHost"}) {
    new_memory();
    const Pair pair = shake_hands(client, server, host);
    EXPECT_NE(pair.client, nullptr) << host << ": " << text_of(client_failure);
    if (pair.server == nullptr) continue;
    const bool is_name = std::string_view(host).find_first_of("oO") != std::string_view::npos;
    EXPECT_EQ(pair.server->peer().server_name, is_name ? "localhost" : "") << host;
  }
  new_memory();
  EXPECT_EQ(shake_hands(client, server, "127.0.0.2").client, nullptr);
  EXPECT_EQ(error_of(client_failure).code(), Errc::wrong_host);
}

TEST_F(TlsHandshakeTest, DoesNotTakeAnAddressInADnsNameForOne) {
  // Made by hand: the authority would make it an address.
  tls::ServerOptions options = server_options({"127.0.0.1.nip.test", "*.1"});
  shake_hands(authority().trusting(), Server(Context::server(options)), "127.0.0.1");
  EXPECT_EQ(error_of(client_failure).code(), Errc::wrong_host);
}

TEST_F(TlsHandshakeTest, MatchesAWildcardForOneLabelAlone) {
  const Server server(Context::server(server_options({"*.example.test", "f*.part.test"})));
  const Context client = authority().trusting();
  struct Case {
    const char* host;
    bool good;
  };
  for (const Case& each : {Case{"a.example.test", true}, Case{"a.b.example.test", false},
                           Case{"example.test", false}, Case{"foo.part.test", false}}) {
    new_memory();
    const Pair pair = shake_hands(client, server, each.host);
    EXPECT_EQ(pair.client != nullptr, each.good) << each.host << text_of(client_failure);
  }
}

TEST_F(TlsHandshakeTest, RefusesWhatIsNoHostBeforeAnyByte) {
  const Server server(Context::server(server_options()));
  for (const std::string& host :
       {std::string(), std::string("."),
        std::string("b\xc3\xbc"
                    "cher.test"),
        std::string("a b"), std::string("a\0b", 3), std::string("*.test"), std::string("a:1"),
        std::string(300, 'a'),
        // OpenSSL would take a dot at the start for any name before it.
        std::string(".localhost"), std::string(".."), std::string("a..test"),
        std::string("localhost.."), std::string(64, 'a') + ".test"}) {
    new_memory();
    client_failure = nullptr;
    std::unique_ptr<tls::Stream> stream;
    run(connect_into(end_a(), authority().trusting(), host, stream, client_failure, {}));
    EXPECT_EQ(error_of(client_failure).code(), std::errc::invalid_argument) << host;
    EXPECT_NE(text_of(client_failure).find("is not a host: "), std::string::npos);
    char byte = 0;
    EXPECT_EQ(memory->b().try_read({&byte, 1}), 0);
  }
}

TEST_F(TlsHandshakeTest, NamesBothSidesIfTheyHaveNoVersionInCommon) {
  tls::ClientOptions client = client_options();
  client.most = Version::tls12;
  tls::ServerOptions server = server_options();
  server.least = Version::tls13;
  shake_hands(Context::client(client), Server(Context::server(server)));
  EXPECT_EQ(error_of(client_failure).code(), Errc::protocol_version) << text_of(client_failure);
  EXPECT_TRUE(error_of(client_failure).by_peer());
  EXPECT_EQ(error_of(client_failure).alert(), 70);
  EXPECT_EQ(error_of(server_failure).code(), Errc::protocol_version) << text_of(server_failure);
  EXPECT_FALSE(error_of(server_failure).by_peer());
}

TEST_F(TlsHandshakeTest, NamesBothSidesIfTheyHaveNoProtocolInCommon) {
  tls::ClientOptions client = client_options();
  client.alpn = {"h2"};
  tls::ServerOptions server = server_options();
  server.alpn = {"http/1.1"};
  shake_hands(Context::client(client), Server(Context::server(server)));
  EXPECT_EQ(error_of(client_failure).code(), Errc::no_application_protocol);
  EXPECT_TRUE(error_of(client_failure).by_peer());
  EXPECT_EQ(error_of(server_failure).code(), Errc::no_application_protocol);
}

TEST_F(TlsHandshakeTest, AgreesOnNoProtocolIfOneSideHasNone) {
  tls::ServerOptions server = server_options();
  server.alpn = {"http/1.1"};
  const Pair pair = shake_hands(Context::client(client_options()), Server(Context::server(server)));
  ASSERT_NE(pair.client, nullptr);
  EXPECT_EQ(pair.client->peer().alpn, "");
}

TEST_F(TlsHandshakeTest, NamesTheCipherIfThereIsNoneInCommon) {
  tls::ClientOptions client = client_options();
  client.ciphers = "TLS_AES_128_GCM_SHA256";
  tls::ServerOptions server = server_options();
  server.ciphers = "TLS_AES_256_GCM_SHA384";
  shake_hands(Context::client(client), Server(Context::server(server)));
  EXPECT_EQ(error_of(server_failure).code(), Errc::no_shared_cipher) << text_of(server_failure);
  EXPECT_EQ(error_of(client_failure).code(), Errc::peer_alert) << text_of(client_failure);
  EXPECT_EQ(error_of(client_failure).alert(), 40);
  EXPECT_EQ(text_of(client_failure),
            "localhost: the peer has reported a failure (alert 40, handshake failure)");
}

TEST_F(TlsHandshakeTest, SpeaksTls12AsWell) {
  tls::ClientOptions client = client_options();
  client.most = Version::tls12;
  const Pair pair = shake_hands(Context::client(client), Server(Context::server(server_options())));
  ASSERT_NE(pair.client, nullptr) << text_of(client_failure);
  EXPECT_EQ(pair.client->peer().version, Version::tls12);
}

TEST_F(TlsHandshakeTest, TellsPlainHttpFromTls) {
  co::TaskGroup tasks(base);
  std::unique_ptr<tls::Stream> stream;
  tasks.spawn(
      accept_into(end_b(), Server(Context::server(server_options())), stream, server_failure));
  memory->a().try_write("GET / HTTP/1.1\r\n\r\n");
  run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(error_of(server_failure).code(), Errc::plain_http) << text_of(server_failure);
}

TEST_F(TlsHandshakeTest, TellsThatTheServerDoesNotSpeakTls) {
  co::TaskGroup tasks(base);
  std::unique_ptr<tls::Stream> stream;
  tasks.spawn(
      connect_into(end_a(), authority().trusting(), "localhost", stream, client_failure, {}));
  memory->b().try_write("220 mail.example.com ESMTP\r\n");
  run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(error_of(client_failure).code(), Errc::not_tls) << text_of(client_failure);
}

TEST_F(TlsHandshakeTest, TellsThatThePeerHasLeft) {
  co::TaskGroup tasks(base);
  std::unique_ptr<tls::Stream> stream;
  tasks.spawn(
      connect_into(end_a(), authority().trusting(), "localhost", stream, client_failure, {}));
  memory->b().close();
  run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(error_of(client_failure).code(), event_cpp::Errc::truncated);
  EXPECT_EQ(error_of(client_failure).host(), "localhost");
}

TEST_F(TlsHandshakeTest, IsNotOverWhenThePeerSaysGoodbye) {
  const std::string goodbye("\x15\x03\x03\x00\x02\x01\x00", 7);  // close_notify
  const Server server(Context::server(server_options()));
  co::TaskGroup tasks(base);
  std::unique_ptr<tls::Stream> stream;
  tasks.spawn(
      connect_into(end_a(), authority().trusting(), "localhost", stream, client_failure, {}));
  memory->b().try_write(goodbye);
  run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(stream, nullptr);
  EXPECT_EQ(error_of(client_failure).code(), event_cpp::Errc::truncated);
  new_memory();
  tasks.spawn(accept_into(end_b(), server, stream, server_failure));
  memory->a().try_write(goodbye);
  run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(stream, nullptr);
  EXPECT_TRUE(error_of(server_failure).code()) << text_of(server_failure);
}

TEST_F(TlsHandshakeTest, EndsWithItsLimitHoweverManyBytesCome) {
  using namespace std::chrono_literals;
  co::TaskGroup tasks(base);
  std::unique_ptr<tls::Stream> stream;
  tasks.spawn(
      accept_into(end_b(), Server(Context::server(server_options())), stream, server_failure));
  // The beginning of a long ClientHello, a byte a second.
  const std::string hello("\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03", 11);
  for (int i = 0; i < 9; ++i) {
    memory->a().try_write(net::Bytes(hello.data() + i, 1));
    time.advance(1s);
    settle();
    EXPECT_EQ(tasks.size(), 1U) << i;
  }
  time.advance(1s);
  settle();
  EXPECT_EQ(tasks.size(), 0U);
  EXPECT_EQ(error_of(server_failure).code(), std::errc::timed_out);
  EXPECT_EQ(memory->a().try_write("x"), -EPIPE);  // it is closed
}

TEST_F(TlsHandshakeTest, OfAServerEndsWithoutAnyReaderForItsTickets) {
  new_memory(100);
  const Pair pair = shake_hands();
  EXPECT_NE(pair.server, nullptr);
}

TEST_F(TlsHandshakeTest, CanBeCancelledAndDestroyedAtEveryWait) {
  const Context client = authority().trusting();
  const Server server(Context::server(server_options()));
  for (const bool destroys : {false, true}) {
    bool ended = false;
    for (int steps = 0; !ended && steps < 2000; ++steps) {
      new_memory(300);
      memory->at_most(150);
      Pair pair;
      client_failure = server_failure = nullptr;
      auto tasks = std::make_unique<co::TaskGroup>(base);
      tasks->spawn(accept_into(end_b(), server, pair.server, server_failure));
      tasks->spawn(connect_into(end_a(), client, "localhost", pair.client, client_failure, {}));
      for (int i = 0; i < steps; ++i) base.loop(RunMode::nonblock);
      ended = tasks->size() == 0;
      if (destroys) {
        tasks.reset();
      } else {
        tasks->cancel();
        settle();
        EXPECT_EQ(tasks->size(), 0U);
        for (const auto& failure : {client_failure, server_failure}) {
          if (failure == nullptr) continue;
          const std::error_code code = error_of(failure).code();
          EXPECT_TRUE(code == std::errc::operation_canceled || code == event_cpp::Errc::truncated ||
                      code == std::errc::broken_pipe)
              << code.message();
        }
      }
    }
    EXPECT_TRUE(ended);
  }
}

}  // namespace
}  // namespace event_cpp::test
