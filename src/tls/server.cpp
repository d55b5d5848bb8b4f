#include "event/tls/server.hpp"

#include <utility>

#include "event/co/sync.hpp"
#include "event/co/timeout.hpp"
#include "event/net/socket_stream.hpp"
#include "tls/context_state.hpp"
#include "tls/failure.hpp"
#include "tls/server_state.hpp"

namespace event_cpp::tls {

Server::Server(Context context) {
  if (!detail::ContextState::of(context)->is_server()) {
    detail::throw_openssl(std::make_error_code(std::errc::invalid_argument),
                          "a client's context for a server");
  }
  state_ = std::make_shared<detail::ServerState>(std::move(context));
}

void Server::replace(Context context) noexcept {
  if (detail::ContextState::of(context)->is_server()) state_->replace(std::move(context));
}

Context Server::current() const noexcept { return state_->current(); }

namespace {

constexpr std::size_t kMostHandshakes = 256;

co::Task<Stream> accept_when_there_is_room(net::Socket socket, Base& base, const Server& server,
                                           co::Semaphore& room, Limits limits) {
  co_await room.acquire();
  const co::SemaphoreGuard permit(room);
  auto below = std::make_unique<net::SocketStream>(base, std::move(socket));
  co::Task<Stream> task = accept(std::move(below), server, limits);
  co_return co_await std::move(task);
}

co::Task<> serve_one(Base& base, net::Socket socket, const Server& server, Handler& handler,
                     co::Semaphore& room) {
  const Limits limits;
  Stream stream = co_await co::with_timeout(
      limits.handshake, accept_when_there_is_room(std::move(socket), base, server, room, limits));
  co::Task<> task = handler(base, stream);
  co_await std::move(task);
  co_await stream.close(limits.close);
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
  co::Semaphore room(most_handshakes != 0 ? most_handshakes : kMostHandshakes);
  net::Handler each = [&](Base& base, net::Socket socket) {
    return serve_one(base, std::move(socket), server, handler, room);
  };
  co::Task<> task = net::serve(listener, std::move(each), std::move(options));
  co_await std::move(task);
}

}  // namespace event_cpp::tls
