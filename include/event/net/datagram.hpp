// Datagram: messages without a connection.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "event/net/chunk.hpp"
#include "event/net/detail/bound_path.hpp"
#include "event/net/detail/socket_event.hpp"
#include "event/net/detail/stream_ops.hpp"

namespace event_cpp::net {

// A message that was received.
struct Packet {
  Chunk bytes;
  Address from;
  bool truncated = false;  // the message was longer than 64 KiB; the rest is lost
};

// A UDP or Unix datagram socket. At most one task or callback waits for each direction: a second
// one fails, as those of a Stream do. A message may be empty.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: the base outlives it. When it
// is destroyed, a task that waits on it resumes with std::errc::operation_canceled. See udp(7),
// unix(7).
class EVENT_API Datagram : private detail::SocketEvent {
 public:
  using Packet = net::Packet;

  // Makes a socket and binds it; with port 0 the kernel chooses a free one. A stale socket file at
  // a Unix path is removed if no process receives on it. Removes the path when destroyed; in a
  // child of fork(2) only if the process that made it is gone. Errors: throws std::system_error.
  Datagram(Base& base, const Address& address);
  // Takes ownership of a socket that is bound or connected, and may be a blocking one: no call here
  // blocks. Errors: throws std::system_error.
  Datagram(Base& base, Socket socket) : SocketEvent(base, std::move(socket)) {}
  ~Datagram();
  Datagram(const Datagram&) = delete;
  Datagram& operator=(const Datagram&) = delete;

  // co_await: returns the next message as a Packet. Errors: throws std::system_error. On a
  // connected socket ECONNREFUSED means that no socket receives at the peer's address; receive()
  // may be called again. ESHUTDOWN: the socket was shut down for reading, with with_socket().
  [[nodiscard]] auto receive(unsigned line = __builtin_LINE()) noexcept;
  // co_await: sends one message to `to`; on a connected socket pass Address(). Returns nothing;
  // that the message was sent does not mean that it arrives. Errors: throws std::system_error:
  // EMSGSIZE if it is too long. Lifetime: `bytes` must live until the co_await has ended.
  [[nodiscard]] auto send(Bytes bytes, const Address& to,
                          unsigned line = __builtin_LINE()) noexcept;

  // The same without waiting. Return zero or an error below zero (see to_error()): kWouldBlock if
  // there is no message, or no room for one in the socket's buffer.
  Io try_receive(Packet& packet) noexcept;
  Io try_send(Bytes bytes, const Address& to) noexcept;

  // Calls f() in the loop whenever try_receive() may succeed. An empty f ends the calls.
  void on_readable(std::function<void()> f);

  // Calls f(Socket&) and returns its result: for socket options. This object still owns the socket.
  template <class F>
  auto with_socket(F&& f) const {
    Socket socket(fd(), kernel());
    struct GiveBack {
      Socket& socket;
      ~GiveBack() { static_cast<void>(socket.release()); }
    } const give_back{socket};
    return f(socket);
  }

  Address address() const {
    return with_socket([](const Socket& s) { return s.address(); });
  }
  // Sets the peer: from now on messages are sent to, and received from, this address alone. Errors:
  // throws std::system_error.
  void connect(const Address& peer) {
    with_socket([&](Socket& s) { static_cast<void>(s.connect(peer)); });
  }
  using SocketEvent::fd;
  Base& base() const noexcept { return Event::base(); }
  // For the operations.
  void wait(Want want, Waiter& waiter) noexcept { wait_for(want, waiter); }
  Waiter* unwait(Want want) noexcept { return forget(want); }
  bool may(Want want) noexcept { return may_try(want); }

 private:
  detail::BoundPath path_;
};

namespace detail {

class ReceivePacketOp final : public StreamOp<Datagram, ReceivePacketOp, Want::read> {
 public:
  using StreamOp::StreamOp;
  bool step() noexcept {
    io_ = stream().try_receive(packet_);
    return io_ != kWouldBlock;
  }
  void fail(Io error) noexcept { io_ = error; }
  Packet await_resume() {
    throw_if_cancelled();
    if (io_ < 0) throw_io(io_, "receive");
    return std::move(packet_);
  }
  co::Waiting waiting() const noexcept override { return describe("receive"); }

 private:
  Packet packet_;
  Io io_ = 0;
};

class SendPacketOp final : public StreamOp<Datagram, SendPacketOp, Want::write> {
 public:
  SendPacketOp(Datagram& datagram, Bytes bytes, const Address& to, unsigned line) noexcept
      : StreamOp(datagram, line), bytes_(bytes), to_(to) {}
  bool step() noexcept {
    io_ = stream().try_send(bytes_, to_);
    return io_ != kWouldBlock;
  }
  void fail(Io error) noexcept { io_ = error; }
  void await_resume() const {
    throw_if_cancelled();
    if (io_ < 0) throw_io(io_, "send");
  }
  co::Waiting waiting() const noexcept override { return describe("send"); }

 private:
  Bytes bytes_;
  Address to_;
  Io io_ = 0;
};

}  // namespace detail

inline auto Datagram::receive(unsigned line) noexcept {
  return detail::ReceivePacketOp(*this, line);
}
inline auto Datagram::send(Bytes bytes, const Address& to, unsigned line) noexcept {
  return detail::SendPacketOp(*this, bytes, to, line);
}

}  // namespace event_cpp::net
