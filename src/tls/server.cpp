#include "event/tls/server.hpp"

#include <utility>

#include "event/co/sync.hpp"
#include "event/co/timeout.hpp"
#include "event/net/socket_stream.hpp"
#include "tls/connection.hpp"
#include "tls/failure.hpp"
#include "tls/handshake.hpp"

namespace event_cpp::tls {

Server::Server(Context context) {
  if (!detail::ContextState::of(context)->is_server()) {
    detail::throw_openssl(std::make_error_code(std::errc::invalid_argument),
                          "the context of a client cannot serve: make one from ServerOptions");
  }
  state_ = std::make_shared<detail::ServerState>(std::move(context));
}

void Server::replace(Context context) noexcept {
  if (detail::ContextState::of(context)->is_server()) state_->replace(std::move(context));
}

Context Server::current() const noexcept { return state_->current(); }

namespace {

constexpr std::size_t kMostHandshakes = 256;

std::unique_ptr<detail::Connection> make_connection(std::unique_ptr<net::Stream> below,
                                                    const Context& context,
                                                    std::shared_ptr<detail::ServerState> server,
                                                    const Limits& limits) {
  auto connection = std::make_unique<detail::Connection>(std::move(below),
                                                         detail::ContextState::of(context), limits);
  connection->be_server(std::move(server));
  return connection;
}

co::Task<Stream> accept_from(std::unique_ptr<net::Stream> below, Context context,
                             std::shared_ptr<detail::ServerState> server, Limits limits) {
  Stream stream = co_await co::with_timeout(
      limits.handshake,
      detail::shake_hands(make_connection(std::move(below), context, std::move(server), limits)));
  co_return stream;
}

}  // namespace

co::Task<Stream> accept(std::unique_ptr<net::Stream> below, const Server& server, Limits limits) {
  return accept_from(std::move(below), server.current(), detail::ServerState::of(server), limits);
}

namespace {

// What the connections of a serve() share.
struct Service {
  std::shared_ptr<detail::ServerState> server;
  Handler& handler;
  co::Semaphore room;
  const Limits limits;
};

co::Task<Stream> accept_in_turn(Base& base, net::Socket socket, Service& service) {
  co_await service.room.acquire();
  const co::SemaphoreGuard permit(service.room);
  auto below = std::make_unique<net::SocketStream>(base, std::move(socket));
  co::Task<Stream> task = detail::shake_hands(
      make_connection(std::move(below), service.server->current(), service.server, service.limits));
  co_return co_await std::move(task);
}

// The wait for its turn is a part of the time.
co::Task<Stream> accept_in_time(Base& base, net::Socket socket, Service& service) {
  Stream stream = co_await co::with_timeout(service.limits.handshake,
                                            accept_in_turn(base, std::move(socket), service));
  co_return stream;
}

// Its frame lives as long as the connection, and is kept small: what only the handshake needs is in
// others.
co::Task<> serve_one(co::Task<Stream> accepting, Service& service) {
  Stream stream = co_await std::move(accepting);
  co::Task<> task = service.handler(stream.base(), stream);
  co_await std::move(task);
  if (!stream) co_return;  // the handler keeps the connection
  co::Task<> closing = stream.close(service.limits.close);
  co_await std::move(closing);
}

}  // namespace

co::Task<> serve(net::Listener& listener, Server& server, Handler handler,
                 std::size_t most_handshakes) {
  return serve(listener, server, std::move(handler), most_handshakes, net::ServeOptions());
}

co::Task<> serve(net::Listener& listener, Server& server, Handler handler,
                 net::ServeOptions options) {
  return serve(listener, server, std::move(handler), kMostHandshakes, std::move(options));
}

co::Task<> serve(net::Listener& listener, Server& server, Handler handler,
                 std::size_t most_handshakes, net::ServeOptions options) {
  return serve(listener, server, std::move(handler), most_handshakes, std::move(options), Limits());
}

co::Task<> serve(net::Listener& listener, Server& server, Handler handler,
                 std::size_t most_handshakes, net::ServeOptions options, Limits limits) {
  Service service{detail::ServerState::of(server), handler,
                  co::Semaphore(most_handshakes != 0 ? most_handshakes : kMostHandshakes), limits};
  net::Handler each = [&service](Base& base, net::Socket socket) {
    return serve_one(accept_in_time(base, std::move(socket), service), service);
  };
  co::Task<> task = net::serve(listener, std::move(each), std::move(options));
  co_await std::move(task);
}

}  // namespace event_cpp::tls
