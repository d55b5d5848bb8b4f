// Listener: accepts connections.
#pragma once

#include <coroutine>
#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <system_error>

#include "event/co/detail/wait_list.hpp"
#include "event/net/detail/bound_path.hpp"
#include "event/net/socket.hpp"

namespace event_cpp::net {

struct ListenOptions {
  int backlog =
      4096;  // connections that the kernel keeps until they are accepted; it may keep fewer
  bool reuse_port = false;  // several listeners on one port share its connections: SO_REUSEPORT
  // Connections that serve() handles at once; others wait in the kernel's queue.
  std::size_t most = std::numeric_limits<std::size_t>::max();
  int batch = 16;           // connections that on_accept() gets in an iteration at most
  bool no_delay = true;     // TCP_NODELAY, for what is accepted
  bool keep_alive = false;  // SO_KEEPALIVE, likewise
};

// Listens on an address and accepts connections, by tasks or by a callback. Accepts only while a
// task or a callback waits for a connection; until then they stay in the kernel's queue. If no
// descriptor or memory is left for a connection, it pauses for 100 ms. A connection that ended
// while it was in the queue is skipped.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: the base outlives it; tasks
// that wait for a connection go on with std::errc::operation_canceled when it is destroyed or
// closed. See listen(2), accept(2).
class EVENT_API Listener {
 public:
  class Accept;

  // Binds and listens. An address with port 0 gets a free one: see address(). A Unix socket that an
  // earlier process has left at the path is removed if nobody listens there.
  // Errors: throws std::system_error: EADDRINUSE, EACCES ...; std::bad_alloc.
  Listener(Base& base, const Address& address, ListenOptions options = {});
  // Takes over a socket that listens already: an inherited one, or the release() of a Listener.
  Listener(Base& base, Socket socket, ListenOptions options = {});
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // co_await: the next connection, a non-blocking socket. Several tasks may wait: first come, first
  // served. Errors: throws std::system_error: std::errc::operation_canceled; an error of accept(2)
  // that concerns the listening socket, such as EINVAL if it does not listen.
  [[nodiscard]] Accept accept(unsigned line = __builtin_LINE()) noexcept;

  // Calls f(Socket) for each connection. An empty f ends that. What it throws leaves dispatch().
  void on_accept(std::function<void(Socket)> f);
  // Calls f(error) when accepting has failed: about every 100 ms while descriptors or memory are
  // exhausted, also if the kernel has no room to watch the listener; once if accepting has failed
  // for good.
  void on_error(std::function<void(std::error_code)> f);

  // The address it listens on, with its port.
  Address address() const { return socket_.address(); }
  const ListenOptions& options() const noexcept { return options_; }
  Base& base() const noexcept { return base_; }
  int fd() const noexcept { return socket_.fd(); }

  // Ends listening. Connections that nobody has accepted are reset by the kernel. Removes the path
  // of a Unix socket that it has made.
  void close() noexcept;
  // Gives the socket up, still listening. A Listener that takes it over accepts what is in the
  // kernel's queue.
  Socket release() noexcept;

 private:
  class Readable;

  // Returns an error, or none; an invalid socket and no error: there is no connection now.
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
  const bool no_delay_;  // for what is accepted: as the options say, if it is TCP
  std::unique_ptr<Readable> readable_;
  co::detail::WaitList<Accept> waiting_;
  std::shared_ptr<std::function<void(Socket)>> on_accept_;  // shared with a call that is under way
  std::unique_ptr<std::function<void(std::error_code)>> on_error_;  // null while it runs
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool on_error_replaced_ = false;  // while it ran
  bool is_broken_ = false;          // accepting has failed for good
  detail::BoundPath path_;
  bool short_of_resources_ = false;
  bool queue_is_empty_ = false;  // as accept(2) has said last
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
