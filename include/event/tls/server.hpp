// Server, accept() and serve(): the server's side of TLS.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "event/co/task.hpp"
#include "event/net/serve.hpp"
#include "event/tls/stream.hpp"

namespace event_cpp::tls {

// A server's context, which can be replaced while the server runs, and the keys of its session
// tickets, which a replacement does not change. Use one for all threads of a server, so that a
// client can resume its session on any of them. Copies share everything. Thread-safety: any thread,
// at the same time. Lifetime: may be destroyed once accept() was called; connections keep what they
// need.
class EVENT_API Server {
 public:
  // Errors: throws Error: std::errc::invalid_argument for a client's context; Errc::internal if
  // there are no random numbers.
  explicit Server(Context context);
  // Sets the context of later accept() calls, to load a new certificate for example. Does nothing
  // if `context` is a client's.
  void replace(Context context) noexcept;
  // The context that accept() uses now.
  Context current() const noexcept;

 private:
  friend class detail::ServerState;

  std::shared_ptr<detail::ServerState> state_;
};

// Does the handshake of a server over any stream. The result owns `below`. Returns when the
// client's messages were checked; session tickets may still be on their way to the client. Errors:
// throws Error, whose code is one of tls::Errc, event::Errc::truncated if the client closes the
// connection, or a system error; std::errc::timed_out after Limits::handshake;
// std::errc::operation_canceled. After an error `below` is closed.
EVENT_API co::Task<Stream> accept(std::unique_ptr<net::Stream> below, const Server& server,
                                  Limits limits = {});

using Handler = std::function<co::Task<>(Base& base, Stream& stream)>;

// Accepts connections, does the handshake of each, and runs handler(base, stream) for it. At most
// `most_handshakes` handshakes run at once (0: 256); further connections wait, and the wait counts
// towards Limits::handshake. When the handler returns, Stream::close(limits.close) is called; when
// it throws, Stream::close_now(). A handler that keeps the connection moves `stream` away. The rest
// is as in net::serve(); `options.on_error` also gets the errors of handshakes. Without `limits`
// the default ones apply. Lifetime: the listener and the server outlive the task.
EVENT_API co::Task<> serve(net::Listener& listener, Server& server, Handler handler,
                           std::size_t most_handshakes = 256);
EVENT_API co::Task<> serve(net::Listener& listener, Server& server, Handler handler,
                           std::size_t most_handshakes, net::ServeOptions options);
EVENT_API co::Task<> serve(net::Listener& listener, Server& server, Handler handler,
                           std::size_t most_handshakes, net::ServeOptions options, Limits limits);
EVENT_API co::Task<> serve(net::Listener& listener, Server& server, Handler handler,
                           net::ServeOptions options);

}  // namespace event_cpp::tls
