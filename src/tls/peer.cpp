// What a connection knows of its peer, and what OpenSSL tells it meanwhile.
#include <algorithm>
#include <limits>
#include <system_error>
#include <utility>

#include "event/net/socket_stream.hpp"
#include "tls/connection.hpp"

namespace event_cpp::tls::detail {
namespace {

// What is behind Session::state.
struct SavedSession {
  std::shared_ptr<const ContextState> context;
  SessionPtr session;
};

// Of who is at the other end. None if that is not known.
net::Address address_of(net::Stream& below) {
  auto* const stream = dynamic_cast<net::SocketStream*>(&below);
  if (stream == nullptr) return {};
  try {
    return stream->with_socket([](const net::Socket& socket) { return socket.peer(); });
  } catch (const std::system_error&) {
    return {};  // it has left already
  }
}

}  // namespace

SSL_SESSION* session_of(const Session& session, const ContextState& context) noexcept {
  const auto* const saved = static_cast<const SavedSession*>(session.state.get());
  return saved != nullptr && saved->context.get() == &context ? saved->session.get() : nullptr;
}

Session Connection::session() const {
  const SessionPtr current(SSL_get1_session(ssl_.get()));
  if (context_->is_server() || current == nullptr || SSL_SESSION_is_resumable(current.get()) != 1)
    return {};
  // A copy: OpenSSL marks its own when the connection ends without a goodbye.
  SessionPtr copy(or_bad_alloc(SSL_SESSION_dup(current.get())));
  return {std::make_shared<const SavedSession>(SavedSession{context_, std::move(copy)})};
}

void Connection::be_client(Host host, const std::string& session_key, SSL_SESSION* session) {
  client_ = std::make_unique<const ClientSide>(ClientSide{std::move(host), session_key});
  SSL_set_connect_state(ssl_.get());
  client_->host.ask(ssl_.get());
  if (context_->verifies()) client_->host.demand(ssl_.get());
  SessionPtr kept;
  if (session == nullptr) {
    kept = context_->sessions().take(session_key);
    session = kept.get();
  }
  if (session != nullptr && holds(session)) SSL_set_session(ssl_.get(), session);
  clear_errors();
}

void Connection::be_server(std::shared_ptr<ServerState> server) {
  server_ = std::make_unique<const ServerSide>(ServerSide{std::move(server), address_of(*below_)});
  SSL_set_accept_state(ssl_.get());
}

// A client that leaves in the handshake is named all the same.
std::string Connection::peer_name() const noexcept {
  try {
    if (client_ != nullptr) return client_->host.text();
    const net::Address address = server_ != nullptr ? server_->client : address_of(*below_);
    return address.is_ip() ? address.text() : std::string();
  } catch (const std::bad_alloc&) {
    return {};
  }
}

bool Connection::verify_again() noexcept {
  if (!context_->verifies() || SSL_session_reused(ssl_.get()) != 1) return true;
  X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
  std::error_code code;
  if (certificate == nullptr && context_->is_server()) return true;  // it was optional
  if (certificate == nullptr || SSL_get_verify_result(ssl_.get()) != X509_V_OK) {
    code = Errc::bad_certificate;
  } else if (!context_->is_server() && !client_->host.matches(certificate)) {
    code = Errc::wrong_host;
  } else if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
    code = Errc::certificate_expired;
  }
  clear_errors();
  if (!code) return true;
  fail(make_failure(code, peer_name(), {subject_of(certificate), 0}));
  return false;
}

Error Connection::error(net::Io io) const {
  if (io == failed_) return Failure{net::to_error(io), failure_}.error();
  return make_failure(net::to_error(io), peer_name()).error();
}

std::string_view Connection::why() const noexcept {
  if (failure_ != nullptr) return failure_->what;
  if (failed_ != 0) return "failed, and there was no memory to say why";
  if (write_failed_ != 0) return "the stream below has failed";
  if (wire().ended() && !ended_) return "the connection was cut";
  return {};
}

const Peer& Connection::peer() {
  if (peer_ != nullptr) return *peer_;
  auto peer = std::make_unique<Peer>();
  const SSL* const ssl = ssl_.get();
  peer->version = SSL_version(ssl) >= TLS1_3_VERSION ? Version::tls13 : Version::tls12;
  peer->cipher = SSL_get_cipher_name(ssl);
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &size);
  if (protocol != nullptr) peer->alpn.assign(reinterpret_cast<const char*>(protocol), size);
  const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name != nullptr) peer->server_name = name;
  X509* const own = SSL_get0_peer_certificate(ssl);
  if (own != nullptr) {
    peer->subject = subject_of(own);
    peer->chain_pem.push_back(to_pem(own));
  }
  // That of a server begins with its own certificate, that of a client without.
  STACK_OF(X509)* const chain = SSL_get_peer_cert_chain(ssl);
  for (int i = context_->is_server() ? 0 : 1; i < sk_X509_num(chain); ++i) {
    peer->chain_pem.push_back(to_pem(sk_X509_value(chain, i)));
  }
  peer->resumed = SSL_session_reused(ssl) == 1;
  peer_ = std::move(peer);
  return *peer_;
}

void Connection::update_keys(bool both) {
  if (SSL_version(ssl_.get()) < TLS1_3_VERSION)
    throw Error(std::make_error_code(std::errc::operation_not_supported));
  if (closed_) throw error(-EBADF);
  if (failed_ != 0) throw error(failed_);
  if (shut_) throw error(-EPIPE);
  const int keys = both ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED;
  new_keys_ = std::max(new_keys_, static_cast<std::int8_t>(keys));
  static_cast<void>(catch_up());  // without room they go before what is written next
  flush();
  if (failed_ != 0) throw error(failed_);
}

// The callbacks.

void Connection::note_fault(X509* certificate, int depth) noexcept {
  try {
    const auto details = std::make_shared<ErrorDetails>();
    details->subject = subject_of(certificate);
    details->depth = depth;
    failure_ = details;
  } catch (const std::bad_alloc&) {  // then the error names no certificate
  }
}

void Connection::note_message() noexcept {
  if (--messages_left_ < 0) wire().stop();
}

// The answer is one message.
void Connection::note_request() noexcept {
  if (messages_left_ < std::numeric_limits<int>::max()) ++messages_left_;
}

void Connection::keep(SSL_SESSION* session) noexcept {
  if (context_->verifies()) note_end(ssl_.get(), session);
  if (!client_->session_key.empty())
    context_->sessions().keep(client_->session_key, SessionPtr(SSL_SESSION_dup(session)));
}

bool Connection::show_certificate(std::string_view name) noexcept {
  refused_name_ = !context_->show_certificate(ssl_.get(), name);
  return !refused_name_;
}

int Connection::prepare_ticket(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                               EVP_MAC_CTX* mac, bool makes) noexcept {
  if (server_ == nullptr) return 0;
  return server_->state->tickets().prepare(name, iv, cipher, mac, makes,
                                           SSL_version(ssl_.get()) >= TLS1_3_VERSION,
                                           below_->base().now(), context_->ticket_rotation());
}

}  // namespace event_cpp::tls::detail
