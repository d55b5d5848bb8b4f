// Listener: accepts connections.
#pragma once

#include <coroutine>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <system_error>

#include "event/co/detail/wait_list.hpp"
#include "event/co/sync.hpp"
#include "event/net/detail/bound_path.hpp"
#include "event/net/socket.hpp"

namespace event_cpp::net {

struct ListenOptions {
  int backlog =
      4096;  // length of the kernel's queue of connections, see listen(2); it may be capped
  bool reuse_port = false;  // several listeners on one port share its connections: SO_REUSEPORT
  // Connections that serve() handles at once; others wait in the kernel's queue.
  std::size_t most = std::numeric_limits<std::size_t>::max();
  // The most connections that on_accept() gets in one iteration. Less than 1 counts as 1.
  int batch = 16;
  bool no_delay = true;     // TCP_NODELAY on accepted sockets
  bool keep_alive = false;  // SO_KEEPALIVE on accepted sockets
};

// Listens on an address and gives accepted connections to tasks or to a callback. Accepts only
// while a task or a callback waits for a connection; until then connections stay in the kernel's
// queue. When fds or memory are exhausted, it pauses for 100 ms. A connection that ended while it
// was in the queue is skipped.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: the base outlives it. When it
// is destroyed or closed, tasks that wait for a connection resume with
// std::errc::operation_canceled. See listen(2), accept(2).
class EVENT_API Listener {
 public:
  class Accept;

  // Binds and listens, with SO_REUSEADDR for IP addresses. With port 0 the kernel chooses a free
  // one: see address(). A stale socket file at a Unix path is removed if no process listens on it.
  // Errors: throws std::system_error: EADDRINUSE, EACCES ...; std::bad_alloc.
  Listener(Base& base, const Address& address, ListenOptions options = {});
  // Takes ownership of a socket that listens already: an inherited one, or the result of release().
  // Makes it non-blocking and close-on-exec. Errors: throws std::system_error as Socket::adopt()
  // does; then the socket is closed.
  Listener(Base& base, Socket socket, ListenOptions options = {});
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // co_await: returns the next connection, a non-blocking socket. Several tasks may wait; they are
  // served in order. A task that waits when fds or memory are exhausted keeps waiting. Errors:
  // throws std::system_error: std::errc::operation_canceled; an error of accept(2) that concerns
  // the listening socket, such as EINVAL if it does not listen. Later calls then fail at once.
  [[nodiscard]] Accept accept(unsigned line = __builtin_LINE()) noexcept;

  // Calls f(Socket) for each connection, instead of tasks. An empty f ends that. An exception of f
  // leaves dispatch().
  void on_accept(std::function<void(Socket)> f);
  // Calls f(error) when accepting has failed: about every 100 ms while fds or memory are exhausted,
  // or the kernel cannot register the fd; once if accepting has failed permanently. An exception of
  // f leaves dispatch().
  void on_error(std::function<void(std::error_code)> f);

  // The address it listens on, with its port.
  Address address() const { return socket_.address(); }
  const ListenOptions& options() const noexcept { return options_; }
  Base& base() const noexcept { return base_; }
  int fd() const noexcept { return socket_.fd(); }

  // Stops listening. The kernel resets connections that were not accepted yet. Removes the path of
  // a Unix socket if this Listener has made it. A child of fork(2) removes it only if the process
  // that made it is gone, as that of a daemon is; so does the destructor.
  void close() noexcept;
  // Gives up ownership of the socket, which still listens; its Unix path is kept. A new Listener
  // accepts what is in the kernel's queue.
  Socket release() noexcept;
  // co_await: returns once this is closed, released or destroyed; at once if it was closed before.
  // For a task that does not wait in accept() all the time.
  [[nodiscard]] co::Task<> closed();

 private:
  class Readable;

  // Accepts a connection. Neither an error nor a valid socket: there is no connection now.
  std::error_code take(Socket& connection) noexcept;
  void wait_for_more() noexcept;
  void stop_if_idle() noexcept;
  void on_readable();
  void look_again(std::error_code refused);
  void call_back();
  void fail(std::error_code error);
  void tell(std::error_code error);

  Base& base_;
  const ListenOptions options_;
  Socket socket_;
  const bool no_delay_;  // for accepted sockets: ListenOptions::no_delay, if it is TCP
  std::unique_ptr<Readable> readable_;
  co::detail::WaitList<Accept> waiting_;
  co::Notification closed_;
  std::shared_ptr<std::function<void(Socket)>> on_accept_;  // also owned by a running call of it
  std::unique_ptr<std::function<void(std::error_code)>> on_error_;  // null while it runs
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool on_error_replaced_ = false;  // while it ran
  std::error_code broken_;          // accepting has failed permanently
  detail::BoundPath path_;
  bool short_of_resources_ = false;
  bool queue_is_empty_ = false;  // the last accept(2) returned EAGAIN
};

class EVENT_API Listener::Accept final : public co::detail::Wait {
 public:
  Accept(Accept&&) noexcept = default;
  ~Accept() {
    if (waits()) withdraw();
  }
  template <co::detail::TaskPromise P>
  bool await_suspend(std::coroutine_handle<P> task) noexcept {
    return begin_accept(task.promise().chain(), task.address());
  }
  Socket await_resume();
  co::Waiting waiting() const noexcept override;

 private:
  friend class Listener;
  Accept(Listener& listener, unsigned line) noexcept : Wait(line), listener_(&listener) {}

  bool begin_accept(co::detail::Chain& chain, void* frame) noexcept;
  // As callbacks of the base.
  void give(Socket connection) noexcept;
  void fail(std::error_code error) noexcept;
  void withdraw() noexcept override;

  Listener* listener_;
  Socket connection_;
  std::error_code error_;
};

}  // namespace event_cpp::net
