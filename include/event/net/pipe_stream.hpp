// PipeStream: a pipe or a terminal.
#pragma once

#include <span>
#include <utility>

#include "event/net/detail/socket_event.hpp"
#include "event/net/stream.hpp"

namespace event_cpp::net {

// A stream over an fd that is used with read(2) and write(2): an end of a pipe, a FIFO, a terminal.
// An end of a pipe has one direction; the other one fails with EBADF. While it is open, dispatch()
// does not return for lack of events. Memory: 64 bytes and a flag; no buffer.
class EVENT_API PipeStream final : public Stream, private detail::SocketEvent {
 public:
  // Takes ownership of an fd, and makes it non-blocking and close-on-exec. O_NONBLOCK belongs to
  // the open file description, so it also affects other processes that share it, such as the shell
  // with a terminal. Errors: throws std::system_error as Event::attach() does, EBADF; then the fd
  // is closed.
  PipeStream(Base& base, int fd);
  ~PipeStream() override { close(); }

  Io try_read(Room room) noexcept override;
  Io try_write(Bytes bytes) noexcept override;
  Io try_write(std::span<const Bytes> pieces) noexcept override;
  // For a pipe: closes it, as close() does. For a terminal: writes the VEOF character (Ctrl-D). At
  // the start of a line this is end-of-file for the reader. In the middle of a line it only flushes
  // the line; call it again for end-of-file.
  Io try_shutdown() noexcept override;
  void wait(Want want, Waiter& waiter) noexcept override { wait_for(want, waiter); }
  Waiter* unwait(Want want) noexcept override { return forget(want); }
  bool may(Want want) noexcept override { return may_try(want); }
  void tear() noexcept override { tear_off(); }
  void idle_timeout(AnyDuration limit) override { set_idle_timeout(limit); }
  void close() noexcept override;
  void reset() noexcept override { close(); }
  Base& base() const noexcept override { return Event::base(); }

  // -1 after close().
  using SocketEvent::fd;

 private:
  bool is_terminal_ = false;
  bool gives_all_ = false;  // a read that gets less than it could has emptied it
};

}  // namespace event_cpp::net
