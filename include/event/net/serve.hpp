// serve() and Workers: servers.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "event/co/group.hpp"
#include "event/net/listener.hpp"

namespace event_cpp::net {

struct ServeOptions {
  // Connections at once; others wait in the kernel's queue. 0: ListenOptions::most.
  std::size_t most = 0;
  // How long connections may go on after the server was cancelled. Then they are cancelled.
  Duration grace = std::chrono::seconds(10);
  // Called with what a handler throws, such as the error of a connection that the peer has reset.
  // Only that connection ends. Empty: such exceptions are dropped. What it throws leaves
  // dispatch().
  std::function<void(std::exception_ptr)> on_error = {};
};

// What serves a connection: a task for each.
using Handler = std::function<co::Task<>(Base& base, Socket connection)>;

template <class F>
concept ConnectionHandler = std::is_invocable_r_v<co::Task<>, F&, Base&, Socket> ||
                            std::is_invocable_r_v<co::Task<>, F&, Socket>;

namespace detail {

EVENT_API co::Task<> serve_connections(Listener& listener, Handler handler, ServeOptions options);

template <class F>
Handler to_handler(F handler) {
  if constexpr (std::is_invocable_r_v<co::Task<>, F&, Base&, Socket>) {
    return Handler(std::move(handler));
  } else {
    return [kept = std::move(handler)](Base&, Socket connection) mutable {
      return kept(std::move(connection));
    };
  }
}

}  // namespace detail

// Accepts connections and runs handler(base, socket) or handler(socket) for each, beside each
// other, until the task is cancelled or the listener is closed. Then it accepts no more, gives the
// connections the grace period, cancels those that are left, and ends with
// std::errc::operation_canceled. A second cancellation does not shorten the grace period.
//
// It does not close the listener. Until that is done, new connections wait in the kernel's queue.
//
//   co::Task<> echo(event::Base& base, net::Socket socket);
//   co_await net::serve(listener, echo);
//
// The handler lives until the last connection has ended. Errors: throws what Listener::accept()
// throws.
template <ConnectionHandler F>
[[nodiscard]] co::Task<> serve(Listener& listener, F handler, ServeOptions options) {
  return detail::serve_connections(listener, detail::to_handler(std::move(handler)),
                                   std::move(options));
}
// No default argument: g++ 12 destroys one twice in a co_await expression.
template <ConnectionHandler F>
[[nodiscard]] co::Task<> serve(Listener& listener, F handler) {
  return serve(listener, std::move(handler), ServeOptions());
}

// A server on several threads: each has a base and a listener of its own on the same port, and the
// kernel spreads connections over them (SO_REUSEPORT). A connection stays in its thread. For IP
// addresses: a Unix path can have only one listener, and so only one thread.
//
//   net::Workers workers(8, net::Address::any(7), echo);
//   ...
//   workers.stop();
class EVENT_API Workers {
 public:
  struct Options {
    event_cpp::Options base = {};  // of each
    ListenOptions listen = {};     // `reuse_port` is set
    // `most` counts per thread. `on_error` is called in any of them, also with the errors that
    // Listener::on_error() tells of.
    ServeOptions serve = {};
  };

  // Starts `threads` threads, at least one, which all listen when this returns. Each has a copy of
  // the handler. Signals are blocked in them. Errors: throws std::system_error, std::bad_alloc;
  // then all is stopped again.
  template <ConnectionHandler F>
  Workers(std::size_t threads, const Address& address, F handler)
      : Workers(threads, address, detail::to_handler(std::move(handler)), Options()) {}
  template <ConnectionHandler F>
  Workers(std::size_t threads, const Address& address, F handler, Options options)
      : Workers(threads, address, detail::to_handler(std::move(handler)), std::move(options)) {}
  Workers(std::size_t threads, const Address& address, Handler handler, Options options);
  // stop().
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Accepts no more, waits at most ServeOptions::grace for the connections, cancels those that are
  // left, and joins the threads. Blocks meanwhile. May be called again.
  // Thread-safety: only the thread that made it. Errors: throws what ended a thread early.
  void stop();

  // With the port.
  const Address& address() const noexcept { return address_; }
  std::size_t size() const noexcept { return workers_.size(); }

 private:
  struct Worker;

  void end() noexcept;

  Address address_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace event_cpp::net
