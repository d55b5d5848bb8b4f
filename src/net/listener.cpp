#include "event/net/listener.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/unique_fd.hpp"
#include "event/event_class.hpp"
#include "net/bind.hpp"

namespace event_cpp::net {
namespace {

constexpr Duration kLookAway = std::chrono::milliseconds(100);

bool is_shortage(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// What accept(2) says of one connection, and not of the listener: it ended while it was in the
// queue, or its network did.
bool is_of_the_connection(int error) noexcept {
  switch (error) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EPERM:
#ifdef ENONET
    case ENONET:
#endif
      return true;
    default:
      return false;
  }
}

int accept_on(const Socket& socket) noexcept {
  if (socket.fd() < detail::kSystem) return socket.kernel()->accept(socket.fd(), nullptr, nullptr);
#ifdef SOCK_CLOEXEC
  const int accepted = ::accept4(socket.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  return detail::result(event_cpp::detail::own_internal(accepted).release());
#else
  const int accepted = ::accept(socket.fd(), nullptr, nullptr);
  const int fd = detail::result(event_cpp::detail::own_internal(accepted).release());
  if (fd < 0) return fd;
  try {
    return Socket::adopt(fd).release();
  } catch (const std::system_error& error) {
    ::close(fd);
    return -error.code().value();
  }
#endif
}

bool is_ip(const Socket& socket) noexcept {
  try {
    return socket.address().is_ip();
  } catch (const std::system_error&) {
    return true;  // unknown: an option that an accepted socket does not have is no error
  }
}

Socket make_listening(Base& base, const Address& address, const ListenOptions& options) {
  Socket socket = Socket::make(base, address.family(), SOCK_STREAM);
  if (address.is_ip()) socket.set_reuse_address(true);
  if (options.reuse_port && address.is_ip()) socket.set_reuse_port(true);
  if (address.family() == AF_INET6) socket.set_ipv6_only(false);
  detail::bind_anew(socket, address, SOCK_STREAM);
  socket.listen(options.backlog);
  return socket;
}

// An inherited socket may block, and accept(2) has no flag against that.
Socket without_blocking(Socket socket) {
  if (socket.fd() <= detail::kSystem) return socket;  // none, or a simulated one
  Socket adopted = Socket::adopt(socket.fd());
  static_cast<void>(socket.release());
  return adopted;
}

}  // namespace

// When to look for connections: once, each time it is asked. Looks away after a shortage.
class Listener::Readable : private Event {
 public:
  Readable(Base& base, Listener& listener)
      : Event(base, listener.socket_.fd(), Events::read, Calls<&Readable::fire>()),
        listener_(listener),
        again_(base, -1, Events::timeout,
               [this] { listener_.look_again(std::exchange(refused_, std::error_code())); }) {
    if (is_simulated()) listener.socket_.kernel()->watch(fd(), *this);
  }
  ~Readable() {
    if (is_simulated()) listener_.socket_.kernel()->unwatch(fd(), *this);
  }

  void look() noexcept {
    if (again_.attached()) return;
    if (is_simulated()) {
      // It tells of a connection once.
      if (!listener_.queue_is_empty_) activate(Events::read);
      return;
    }
    if (attached()) return;
    refused_ = try_attach();
    if (refused_) look_away();
  }
  void stop() noexcept {
    detach();
    again_.detach();
  }
  void look_away() noexcept {
    detach();
    static_cast<void>(again_.try_rearm(kLookAway));
  }

 private:
  static void fire(Event& event, Events /*fired*/) {
    auto& readable = static_cast<Readable&>(event);
    readable.listener_.queue_is_empty_ = false;
    if (!readable.again_.attached()) readable.listener_.on_readable();
  }
  bool is_simulated() const noexcept { return fd() < detail::kSystem; }

  Listener& listener_;
  Event again_;
  std::error_code refused_;  // why it could not be registered; nobody was told yet
};

Listener::Listener(Base& base, const Address& address, ListenOptions options)
    : Listener(base, make_listening(base, address, options), options) {
  if (socket_.kernel() == nullptr) path_ = detail::BoundPath(address);
}

Listener::Listener(Base& base, Socket socket, ListenOptions options)
    : base_(base),
      options_(options),
      socket_(without_blocking(std::move(socket))),
      no_delay_(options.no_delay && is_ip(socket_)),
      readable_(std::make_unique<Readable>(base, *this)) {}

Listener::~Listener() {
  *alive_ = false;
  close();
}

// The path goes before the socket: another process may take it at once.
void Listener::close() noexcept {
  path_.remove();
  release().close();
}

Socket Listener::release() noexcept {
  path_.forget();
  readable_.reset();
  Socket socket = std::move(socket_);
  while (Accept* const accept = waiting_.take_first()) {
    accept->fail(std::make_error_code(std::errc::operation_canceled));
  }
  closed_.notify_all();
  return socket;
}

co::Task<> Listener::closed() {
  if (socket_) co_await closed_.wait();
}

std::error_code Listener::take(Socket& connection) noexcept {
  short_of_resources_ = false;
  queue_is_empty_ = false;
  // If every connection fails it looks away, as when there are no descriptors.
  constexpr int kMostSkipped = 16;
  int skipped = 0;
  for (;;) {
    const int fd = accept_on(socket_);
    if (fd >= 0 || fd < detail::kLowestError) {
      connection = Socket(fd, socket_.kernel());
      break;
    }
    if (fd == -EAGAIN || fd == -EWOULDBLOCK) {
      queue_is_empty_ = true;
      return {};
    }
    if (is_of_the_connection(-fd) && ++skipped < kMostSkipped) continue;
    short_of_resources_ = is_shortage(-fd) || skipped == kMostSkipped;
    const std::error_code error(-fd, std::system_category());
    if (!short_of_resources_) broken_ = error;
    return error;
  }
  try {
    if (no_delay_) connection.set_no_delay(true);
    if (options_.keep_alive) connection.set_keep_alive(true);
  } catch (const std::system_error&) {
    // It may have ended already; reading will tell.
  }
  return {};
}

void Listener::wait_for_more() noexcept {
  if (readable_ != nullptr && !broken_) readable_->look();
}

// A listener that nobody waits for does not keep its base running.
void Listener::stop_if_idle() noexcept {
  if (readable_ != nullptr && on_accept_ == nullptr && waiting_.empty()) readable_->stop();
}

// One task goes on here, and takes what else there is by itself; this may be gone afterwards.
void Listener::on_readable() {
  if (on_accept_ != nullptr) return call_back();
  if (waiting_.empty()) return;
  Socket connection;
  const std::error_code error = take(connection);
  if (error) {
    fail(error);
  } else if (connection) {
    Accept* const accept = waiting_.take_first();
    if (!waiting_.empty()) wait_for_more();
    accept->give(std::move(connection));
  } else {
    wait_for_more();
  }
}

// After a while of looking away; `refused` as Readable has it. Accepts first: what on_error throws
// must not keep the listener from looking.
void Listener::look_again(std::error_code refused) {
  const std::shared_ptr<bool> alive = alive_;
  on_readable();
  if (refused && *alive && socket_) tell(refused);
}

void Listener::call_back() {
  // Also if a callback throws; nothing of this is touched once it is destroyed.
  struct AtTheEnd {
    Listener& self;
    const std::shared_ptr<bool> alive = self.alive_;
    ~AtTheEnd() {
      if (*alive && self.on_accept_ != nullptr) self.wait_for_more();
    }
  } const at_the_end{*this};
  for (int i = 0; i < std::max(options_.batch, 1); ++i) {
    Socket connection;
    const std::error_code error = take(connection);
    if (error) return fail(error);
    if (!connection) return;
    const auto f = on_accept_;  // it may be replaced while it runs
    (*f)(std::move(connection));
    if (!*at_the_end.alive || on_accept_ == nullptr || !socket_) return;
  }
}

// A shortage passes; any other error is for good, and whoever waits is told.
void Listener::fail(std::error_code error) {
  if (short_of_resources_) {
    readable_->look_away();
  } else {
    while (Accept* const accept = waiting_.take_first()) accept->fail(error);
  }
  tell(error);
}

void Listener::tell(std::error_code error) {
  if (on_error_ == nullptr) return;
  // Kept here while it runs, as it may replace itself or destroy this; back again also if it
  // throws.
  struct Borrowed {
    Listener& self;
    const std::shared_ptr<bool> alive = self.alive_;
    std::unique_ptr<std::function<void(std::error_code)>> f = std::move(self.on_error_);
    ~Borrowed() {
      if (*alive && !self.on_error_replaced_) self.on_error_ = std::move(f);
    }
  } borrowed{*this};
  on_error_replaced_ = false;
  (*borrowed.f)(error);
}

// What is replaced may own this, and is destroyed at the end.
void Listener::on_accept(std::function<void(Socket)> f) {
  auto before =
      f != nullptr ? std::make_shared<std::function<void(Socket)>>(std::move(f)) : nullptr;
  on_accept_.swap(before);
  if (on_accept_ != nullptr) {
    wait_for_more();
  } else {
    stop_if_idle();
  }
}

void Listener::on_error(std::function<void(std::error_code)> f) {
  on_error_replaced_ = true;
  auto before =
      f != nullptr ? std::make_unique<std::function<void(std::error_code)>>(std::move(f)) : nullptr;
  on_error_.swap(before);
}

Listener::Accept Listener::accept(unsigned line) noexcept { return {*this, line}; }

// Tries before it waits: nothing is in flight that a cancellation could lose.
bool Listener::Accept::begin_accept(co::detail::Chain& chain, void* frame) noexcept {
  Listener& listener = *listener_;
  const bool may_go_on = chain.spend();
  error_ = listener.broken_;
  if (!listener.socket_) error_ = std::make_error_code(std::errc::operation_canceled);
  const bool is_over = static_cast<bool>(error_);  // a wait would not end
  if (may_go_on && is_over) return false;
  if (may_go_on && listener.waiting_.empty()) {
    error_ = listener.take(connection_);
    if (connection_ || (error_ && !listener.short_of_resources_)) return false;
    error_ = {};  // a shortage shows again in the loop, which looks away and tells of it
  }
  if (chain.cancelled) {
    begin_cancelled(chain, frame);
  } else if (is_over) {
    begin_done(chain, frame);
  } else {
    begin(chain, frame);
    listener.waiting_.add(chain);
    listener.wait_for_more();
  }
  return true;
}

void Listener::Accept::withdraw() noexcept {
  chain()->unlink();
  listener_->stop_if_idle();
}

void Listener::Accept::give(Socket connection) noexcept {
  connection_ = std::move(connection);
  resume();
}

void Listener::Accept::fail(std::error_code error) noexcept {
  error_ = error;
  wake();
}

Socket Listener::Accept::await_resume() {
  throw_if_cancelled();
  if (error_) throw std::system_error(error_, "event::net::Listener::accept");
  return std::move(connection_);
}

co::Waiting Listener::Accept::waiting() const noexcept {
  return describe("accept", listener_->fd());
}

}  // namespace event_cpp::net
