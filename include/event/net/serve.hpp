// serve() and Workers: servers on one thread, and on several.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
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
  // The most connections at once; further ones wait in the kernel's queue. 0: ListenOptions::most.
  std::size_t most = 0;
  // How long connections may continue after the server was cancelled. Then they are cancelled.
  AnyDuration grace = std::chrono::seconds(10);
  // Called with each exception that a handler throws, such as the error of a connection that the
  // peer has reset. Such an exception ends only that connection. If this is empty, the exceptions
  // are dropped. What this function throws itself leaves dispatch().
  //
  // The exception does not say whose connection it was, unless it is a tls::Error: see
  // tls::Error::host(). If other code closes the stream on which a handler waits, for example when
  // the program ends, the handler ends with std::errc::operation_canceled, which is reported unless
  // the handler catches it. If it ends with this error because the server was cancelled, nothing is
  // reported.
  std::function<void(std::exception_ptr)> on_error = {};
  // Called once when the server accepts no more and the grace period begins, so that handlers can
  // be told: for example by a co::Notification for which those between two requests wait. If this
  // throws, the exception goes to `on_error`. It must not destroy the task of serve(). Not called
  // if that is destroyed by others.
  std::function<void()> on_stop = {};
};

// A coroutine that is called for each connection, and owns it.
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

// Accepts connections and runs handler(base, socket) or handler(socket) for each, concurrently,
// until the task is cancelled or the listener is closed. Then it stops accepting, waits for the
// connections for `options.grace`, cancels those that are left, and throws
// std::errc::operation_canceled. A second cancellation does not shorten the grace period.
//
// A cancelled serve() does not close the listener: until you close it, new connections wait in the
// kernel's queue.
//
//   co::Task<> echo(event::Base& base, net::Socket socket);
//   co_await net::serve(listener, echo);
//
// Lifetime: the listener outlives the task. The handler is kept until the last connection has
// ended, so it may be a lambda with captures. Errors: throws what Listener::accept() throws.
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

// A server on several threads. Each thread has its own base and its own listener on the same port;
// the kernel distributes connections over them (SO_REUSEPORT). A connection stays on its thread. A
// Unix path can have only one listener, and so only one thread.
//
//   net::Workers workers(8, net::Address::any(7), echo);
//   ...
//   workers.stop();
class EVENT_API Workers {
 public:
  struct Options {
    event_cpp::Options base = {};  // of each base
    ListenOptions listen = {};     // `reuse_port` is always set
    // `most` counts for each thread. `on_error` is called on any of the threads, also for the
    // errors that Listener::on_error() reports, and `on_stop` on each of them, so both must be
    // thread-safe.
    ServeOptions serve = {};
  };

  // Starts `threads` threads, at least one. When this returns all of them listen. Each has a copy
  // of the handler, and all signals blocked. Errors: throws std::system_error, std::bad_alloc; then
  // all threads have ended.
  template <ConnectionHandler F>
  Workers(std::size_t threads, const Address& address, F handler)
      : Workers(threads, address, detail::to_handler(std::move(handler)), Options()) {}
  template <ConnectionHandler F>
  Workers(std::size_t threads, const Address& address, F handler, Options options)
      : Workers(threads, address, detail::to_handler(std::move(handler)), std::move(options)) {}
  Workers(std::size_t threads, const Address& address, Handler handler, Options options);
  // As stop(), but throws nothing. In a child of fork(2), which does not have the threads, it does
  // nothing.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // Closes the listeners, waits for the connections for at most ServeOptions::grace, cancels those
  // that are left, and joins the threads. Blocks meanwhile. May be called again.
  // Thread-safety: only the thread that made it. Errors: throws the exception that ended a thread
  // early, if there was one.
  void stop();

  // The address of all listeners, with the port that the kernel has chosen.
  const Address& address() const noexcept { return address_; }
  // The number of threads.
  std::size_t size() const noexcept { return workers_.size(); }

 private:
  struct Worker;

  void end() noexcept;

  Address address_;
  std::uint32_t forks_;  // of the process that has made it
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace event_cpp::net
