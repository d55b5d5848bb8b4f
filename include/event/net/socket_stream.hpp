// SocketStream: a connected socket.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "event/co/task.hpp"
#include "event/net/detail/send_flags.hpp"
#include "event/net/detail/socket_event.hpp"
#include "event/net/stream.hpp"

namespace event_cpp::net {

// A stream over a connected socket, TCP or Unix, which it owns. Memory: 64 bytes; no buffer. Cost
// of an operation: its system call and some 100 instructions. It is edge-triggered: epoll and
// kqueue have it registered once, and poll changes its interest when a task starts or stops
// waiting. If another event on the same fd does not have Events::edge, this stream becomes
// level-triggered, and wakes up the loop all the time while there is room to write. As long as it
// is open, dispatch() does not return for lack of events, even if nothing waits on the stream.
//
// A limit of epoll and kqueue: where recv(2) returns less than there is, the rest may be read only
// when more arrives. It does so at TCP urgent data (MSG_OOB), on a Unix socket behind a message
// that carries a descriptor, and at the end of each message of SOCK_SEQPACKET.
class EVENT_API SocketStream final : public Stream,
                                     public detail::StreamOps<SocketStream>,
                                     private detail::SocketEvent {
 public:
  // Takes ownership of the socket. Requires: it is non-blocking, as every socket that this library
  // makes; pass others through Socket::adopt(), or send_file() and copy() may block. Errors: throws
  // std::system_error as Event::attach() does, std::bad_alloc; then the socket is closed.
  SocketStream(Base& base, Socket socket) : SocketEvent(base, std::move(socket)) {}
  ~SocketStream() override { close(); }

  using Ops = detail::StreamOps<SocketStream>;
  using Ops::read_exactly;
  using Ops::read_some;
  using Ops::readable;
  using Ops::receive;
  using Ops::shutdown;
  using Ops::try_read_exactly;
  using Ops::try_read_some;
  using Ops::try_receive;
  using Ops::try_write_all;
  using Ops::writable;
  using Ops::write;

  Io try_read(Room room) noexcept override {
    if (has_failed() || is_simulated() || room.empty()) [[unlikely]]
      return try_read_otherwise(room);
    const ssize_t size = ::recv(fd(), room.data(), room.size(), MSG_DONTWAIT);
    if (size <= 0) [[unlikely]]
      return read_nothing(size, room);
    note_read(static_cast<std::size_t>(size), room.size());
    return size;
  }
  Io try_write(Bytes bytes) noexcept override {
    if (refuses_write() || is_simulated() || bytes.empty()) [[unlikely]]
      return try_write_otherwise(bytes);
    const ssize_t size = ::send(fd(), bytes.data(), bytes.size(), detail::kSendFlags);
    if (size != static_cast<ssize_t>(bytes.size())) [[unlikely]]
      return write_less(size, bytes);
    note_write(bytes.size(), bytes.size());
    return size;
  }
  Io try_write(std::span<const Bytes> pieces) noexcept override;
  Io try_shutdown() noexcept override;
  void wait(Want want, Waiter& waiter) noexcept override { wait_for(want, waiter); }
  Waiter* unwait(Want want) noexcept override { return forget(want); }
  bool may(Want want) noexcept override { return may_try(want); }
  void tear() noexcept override { tear_off(); }
  void idle_timeout(AnyDuration limit) override { set_idle_timeout(limit); }
  void close() noexcept override;
  void reset() noexcept override;
  Base& base() const noexcept override { return Event::base(); }

  // Sends at most `count` bytes of a file from the offset `from`, and adds to `from` what was sent.
  // Never waits. Returns the number of bytes, 0 at the end of the file, or an error. SIGPIPE is not
  // raised. See sendfile(2).
  Io try_send_file(int file, off_t& from, std::size_t count) noexcept;
  // Move at most `count` bytes between this socket and a pipe. Never wait. Return the number of
  // bytes or an error; ENOSYS outside Linux. See splice(2).
  Io try_splice_to(int pipe, std::size_t count) noexcept;
  Io try_splice_from(int pipe, std::size_t count) noexcept;
  bool can_splice() const noexcept;
  // net::send_file() to this stream.
  [[nodiscard]] co::Task<std::uint64_t> send_file(int file, off_t from, std::uint64_t count);
  // Pass an fd over a Unix socket with one byte of data, as send_descriptor() and
  // receive_descriptor() do. Never wait. Return the number of bytes, 0 at the end, or an error:
  // EINVAL if it is no Unix socket, EBADMSG if data came without an fd, EMFILE if this process may
  // not open another fd. The caller owns the fd that is received, -1 without one.
  Io try_send_descriptor(int descriptor) noexcept;
  Io try_receive_descriptor(int& descriptor) noexcept;

  // -1 after close().
  using SocketEvent::fd;
  // Gives up ownership, and returns the socket, which is still open and keeps its unread bytes. A
  // task that waits on the stream resumes with std::errc::operation_canceled.
  using SocketEvent::release;
  // Calls f(Socket&) and returns its result: for socket options and addresses. The stream still
  // owns the socket, whose fd is -1 after close().
  template <class F>
  auto with_socket(F&& f) {
    Socket socket(fd(), kernel());
    struct GiveBack {
      Socket& socket;
      ~GiveBack() { static_cast<void>(socket.release()); }
    } const give_back{socket};
    return f(socket);
  }

 private:
  Io try_read_otherwise(Room room) noexcept;
  Io try_write_otherwise(Bytes bytes) noexcept;
  // What recv(2) and send(2) have returned: by errno if it is -1.
  Io read_nothing(ssize_t size, Room room) noexcept;
  Io write_less(ssize_t size, Bytes bytes) noexcept;
};

static_assert(sizeof(void*) != 8 || sizeof(SocketStream) == 64, "one cache line");

}  // namespace event_cpp::net
