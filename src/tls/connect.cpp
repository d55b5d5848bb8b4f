#include "event/tls/connect.hpp"

#include <openssl/err.h>

#include <utility>

#include "event/co/timeout.hpp"
#include "event/net/connect.hpp"
#include "event/net/socket_stream.hpp"
#include "tls/connection.hpp"
#include "tls/handshake.hpp"

namespace event_cpp::tls {
namespace {

using detail::Connection;

// These take values: what a caller gave may be gone when the task runs.

co::Task<Stream> client_handshake(std::unique_ptr<net::Stream> below, Context context,
                                  detail::Host host, std::string port, Limits limits,
                                  Session session) {
  const auto& state = detail::ContextState::of(context);
  if (state->is_server()) {
    detail::throw_openssl(std::make_error_code(std::errc::invalid_argument),
                          "the context of a server cannot connect: make one from ClientOptions");
  }
  auto connection = std::make_unique<Connection>(std::move(below), state, limits);
  const std::string key = host.empty() ? std::string() : host.text() + port;
  connection->be_client(std::move(host), key, detail::session_of(session, *state));
  Stream stream =
      co_await co::with_timeout(limits.handshake, detail::shake_hands(std::move(connection)));
  co_return stream;
}

detail::Host host_for(const Context& context, const std::string& text) {
  const bool needed = detail::ContextState::of(context)->verifies();
  return text.empty() && !needed ? detail::Host() : detail::Host(text);
}

co::Task<Stream> client_of(std::unique_ptr<net::Stream> below, Context context, std::string text,
                           Limits limits, Session session) {
  detail::Host host = host_for(context, text);
  co::Task<Stream> task = client_handshake(std::move(below), std::move(context), std::move(host),
                                           "", limits, std::move(session));
  co_return co_await std::move(task);
}

co::Task<Stream> connect_by(Base& base, Context context, std::string text, int port,
                            Limits limits) {
  detail::Host host = host_for(context, text);
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  // As it was given: a dot at its end and a scope mean something to who looks it up.
  net::Socket socket = co_await net::connect(text, port, limits.handshake);
  auto below = std::make_unique<net::SocketStream>(base, std::move(socket));
  std::string port_of_session("/");  // no host has it in its name
  port_of_session += std::to_string(port);
  co::Task<Stream> task = client_handshake(std::move(below), std::move(context), std::move(host),
                                           std::move(port_of_session), limits, Session());
  co_return co_await std::move(task);
}

co::Task<Stream> connect_by_default(Base& base, std::string host, int port) {
  static const Context context = Context::client();
  co::Task<Stream> task = connect_by(base, context, std::move(host), port, Limits());
  co_return co_await std::move(task);
}

}  // namespace

co::Task<Stream> client(std::unique_ptr<net::Stream> below, const Context& context,
                        std::string verify_host, Limits limits) {
  return client_of(std::move(below), context, std::move(verify_host), limits, Session());
}

co::Task<Stream> client(std::unique_ptr<net::Stream> below, const Context& context,
                        std::string verify_host, Limits limits, Session session) {
  return client_of(std::move(below), context, std::move(verify_host), limits, std::move(session));
}

co::Task<Stream> connect(Base& base, const Context& context, std::string host, int port,
                         Limits limits) {
  return connect_by(base, context, std::move(host), port, limits);
}

co::Task<Stream> connect(Base& base, std::string host, int port) {
  return connect_by_default(base, std::move(host), port);
}

}  // namespace event_cpp::tls
