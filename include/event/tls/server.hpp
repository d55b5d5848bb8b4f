// Server, accept() and serve(): the side that has a certificate.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "event/co/task.hpp"
#include "event/net/serve.hpp"
#include "event/tls/stream.hpp"

namespace event_cpp::tls {

// A server's context, which can be replaced while it serves, and the keys of its session tickets,
// which outlive that. One for all threads of a server, so that a client may come back to any.
// Thread-safety: any thread, at the same time. Lifetime: connections do not need it once accept()
// was called. Copies share everything.
class EVENT_API Server {
 public:
  // Errors: throws std::errc::invalid_argument for a client's context; Errc::internal without
  // random numbers.
  explicit Server(Context context);
  // For the connections that begin from now on. Does nothing if `context` is a client's.
  void replace(Context context) noexcept;
  Context current() const noexcept;

 private:
  friend class detail::ServerState;

  std::shared_ptr<detail::ServerState> state_;
};

// The handshake of a server, over anything that carries bytes. Ends when the client's part of it
// was checked; session tickets are sent later, as the client reads. Errors: throws Error, whose
// code is one of tls::Errc, event::Errc::truncated if the client leaves, or the system's;
// std::errc::timed_out after Limits::handshake; std::errc::operation_canceled. Then `below` is
// closed.
EVENT_API co::Task<Stream> accept(std::unique_ptr<net::Stream> below, const Server& server,
                                  Limits limits = {});

using Handler = std::function<co::Task<>(Base& base, Stream& stream)>;

// Accepts connections and runs handler(base, stream) for each, after its handshake. At most
// `most_handshakes` are under way at once, 256 if it is not given or zero; others wait, and that
// counts as part of Limits::handshake. When the handler has returned the stream is closed in order;
// when it has thrown, at once. All else is as net::serve() does it: failed handshakes are among the
// errors that `options.on_error` gets. Lifetime: the listener and the server outlive the task.
EVENT_API co::Task<> serve(net::Listener& listener, Server& server, Handler handler,
                           std::size_t most_handshakes = 256);
EVENT_API co::Task<> serve(net::Listener& listener, Server& server, Handler handler,
                           std::size_t most_handshakes, net::ServeOptions options);
EVENT_API co::Task<> serve(net::Listener& listener, Server& server, Handler handler,
                           net::ServeOptions options);

}  // namespace event_cpp::tls
