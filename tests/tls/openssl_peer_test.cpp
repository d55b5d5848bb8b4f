// What a peer may ask for that this library never does: new handshakes, old sessions.
#include "tls/openssl_peer.hpp"

#include "tls/support.hpp"

namespace event_cpp::test {
namespace {

using namespace std::chrono_literals;
using co::Task;
using tls::Context;
using tls::Server;

class TlsOpensslPeerTest : public TlsFixture {
 protected:
  using Role = OpensslPeer::Role;

  TlsOpensslPeerTest() {
    use_identity(as_client.get(), authority().issue({"somebody"}));
    use_identity(as_server.get(), authority().issue({"localhost"}));
  }

  Task<> accept_within(tls::Limits limits, Server server) {
    try {
      co::Task<tls::Stream> handshake = tls::accept(end_b(), server, limits);
      tls::Stream accepted = co_await std::move(handshake);
      stream = std::make_unique<tls::Stream>(std::move(accepted));
    } catch (const tls::Error&) {  // then there is no stream
    }
  }
  Task<> connect_within(tls::Limits limits) {
    co::Task<tls::Stream> handshake =
        tls::client(end_a(), authority().trusting(), "localhost", limits);
    tls::Stream connected = co_await std::move(handshake);
    stream = std::make_unique<tls::Stream>(std::move(connected));
  }
  // The other end of the connection is `stream`, which is null if the handshake fails.
  std::unique_ptr<OpensslPeer> client_of(const Server& server, tls::Limits limits = {},
                                         SSL_SESSION* session = nullptr) {
    new_memory();
    auto peer = std::make_unique<OpensslPeer>(as_client.get(), memory->a(), Role::client);
    if (session != nullptr) SSL_set_session(peer->ssl(), session);
    shake_hands(*peer, accept_within(limits, server));
    return peer;
  }
  std::unique_ptr<OpensslPeer> server_of_stream(tls::Limits limits) {
    new_memory();
    auto peer = std::make_unique<OpensslPeer>(as_server.get(), memory->b(), Role::server);
    shake_hands(*peer, connect_within(limits));
    return peer;
  }
  void shake_hands(OpensslPeer& peer, Task<> other) {
    stream.reset();
    co::TaskGroup tasks(base);
    tasks.spawn(std::move(other));
    run_until([&] {
      if (peer.shake_hands()) peer.give(peer.sent());
      return tasks.size() == 0;
    });
  }
  // Of a connection of a client that shows a certificate which lasts so long, or longer if this
  // machine is too slow for that.
  struct Session {
    std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session{nullptr, &SSL_SESSION_free};
    std::unique_ptr<X509, decltype(&X509_free)> certificate{nullptr, &X509_free};

    bool is_over() const {
      return X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0;
    }
  };
  Session session_of_client(const Server& server, int version, Duration lasts) {
    SSL_CTX_set_max_proto_version(as_client.get(), version);
    for (;; lasts *= 2) {
      use_identity(as_client.get(), authority().issue({"before"}, Duration(), lasts));
      const auto peer = client_of(server);
      if (stream == nullptr) continue;
      EXPECT_EQ(stream->try_write("x"), 1);
      EXPECT_EQ(peer->received(), "x");  // and a ticket
      Session session;
      // A copy: OpenSSL marks its own when the connection ends without a goodbye.
      session.session.reset(SSL_SESSION_dup(SSL_get_session(peer->ssl())));
      session.certificate.reset(X509_dup(SSL_CTX_get0_certificate(as_client.get())));
      EXPECT_EQ(SSL_SESSION_is_resumable(session.session.get()), 1);
      return session;
    }
  }
  bool resumes(const Server& server, int version, SSL_SESSION* session) {
    SSL_CTX_set_max_proto_version(as_client.get(), version);
    const auto peer = client_of(server, {}, session);
    EXPECT_NE(stream, nullptr);
    if (stream == nullptr) return false;
    EXPECT_EQ(stream->peer().subject, stream->peer().resumed ? "CN=before" : "CN=after");
    return stream->peer().resumed;
  }

  // What `stream` does about a peer that begins another handshake.
  net::Io after_renegotiation(OpensslPeer& peer) {
    EXPECT_EQ(SSL_renegotiate(peer.ssl()), 1);
    SSL_do_handshake(peer.ssl());
    peer.give(peer.sent());
    std::array<char, 100> room{};
    const net::Io io = stream->try_read(room);
    settle();
    return io;
  }
  static tls::Limits updates(int most) {
    tls::Limits limits;
    limits.updates = most;
    return limits;
  }
  static bool is_refused(OpensslPeer& peer) {
    ERR_clear_error();
    peer.received();
    return ERR_GET_REASON(ERR_peek_error()) == SSL_R_NO_RENEGOTIATION;
  }

  OpensslContext as_client{SSL_CTX_new(TLS_client_method()), &SSL_CTX_free};
  OpensslContext as_server{SSL_CTX_new(TLS_server_method()), &SSL_CTX_free};
  std::unique_ptr<tls::Stream> stream;
};

TEST_F(TlsOpensslPeerTest, IsRefusedAnotherHandshakeByAServerAndCounted) {
  SSL_CTX_set_max_proto_version(as_client.get(), TLS1_2_VERSION);
  const Server server(Context::server(server_options()));
  const auto refused = client_of(server, updates(1));
  EXPECT_EQ(after_renegotiation(*refused), net::kWouldBlock);
  EXPECT_TRUE(is_refused(*refused));

  const auto ended = client_of(server, updates(0));
  EXPECT_EQ(net::to_error(after_renegotiation(*ended)), tls::Errc::too_many_updates);
}

TEST_F(TlsOpensslPeerTest, IsRefusedAnotherHandshakeByAClientAndCounted) {
  SSL_CTX_set_max_proto_version(as_server.get(), TLS1_2_VERSION);
  const auto refused = server_of_stream(updates(1));
  EXPECT_EQ(after_renegotiation(*refused), net::kWouldBlock);
  EXPECT_TRUE(is_refused(*refused));

  const auto ended = server_of_stream(updates(0));
  EXPECT_EQ(net::to_error(after_renegotiation(*ended)), tls::Errc::too_many_updates);
}

// The ticket has the old certificate. The client has a new one, and a chance to show it.
TEST_F(TlsOpensslPeerTest, DoesNotGoOnWithASessionWhoseCertificateHasExpired) {
  tls::ServerOptions options = server_options();
  options.client = tls::Ask::required;
  options.client_trust = authority().root_pem();
  const Server server(Context::server(options));
  const Session valid12 = session_of_client(server, TLS1_2_VERSION, 1h);
  const Session valid13 = session_of_client(server, TLS1_3_VERSION, 1h);
  const Session passing12 = session_of_client(server, TLS1_2_VERSION, 1s);
  const Session passing13 = session_of_client(server, TLS1_3_VERSION, 1s);
  while (!passing12.is_over() || !passing13.is_over()) ::usleep(10'000);
  use_identity(as_client.get(), authority().issue({"after"}));
  EXPECT_TRUE(resumes(server, TLS1_2_VERSION, valid12.session.get()));
  EXPECT_TRUE(resumes(server, TLS1_3_VERSION, valid13.session.get()));
  EXPECT_FALSE(resumes(server, TLS1_2_VERSION, passing12.session.get()));
  EXPECT_FALSE(resumes(server, TLS1_3_VERSION, passing13.session.get()));
}

}  // namespace
}  // namespace event_cpp::test
