// PipeStream: a pipe or a terminal.
#pragma once

#include <span>
#include <utility>

#include "event/net/detail/socket_event.hpp"
#include "event/net/stream.hpp"

namespace event_cpp::net {

// A stream over a descriptor of which one reads and writes as of a file: an end of a pipe, a FIFO,
// a terminal. An end of a pipe goes in one direction; the other one fails with EBADF. While it is
// open the base does not leave dispatch(). Memory: 64 bytes and a flag; no buffer.
class EVENT_API PipeStream final : public Stream, private detail::SocketEvent {
 public:
  // Takes over a descriptor, and makes it non-blocking and close-on-exec. The open file becomes
  // non-blocking for everybody who shares it. Errors: throws std::system_error as Event::attach()
  // does; std::errc::bad_file_descriptor. Then it is closed.
  PipeStream(Base& base, int fd);
  ~PipeStream() override { close(); }

  Io try_read(Room room) noexcept override;
  Io try_write(Bytes bytes) noexcept override;
  Io try_write(std::span<const Bytes> pieces) noexcept override;
  // Of a pipe: closes it. Of a terminal: the end of its input, as Ctrl-D at the start of a line. In
  // the middle of a line it ends the line; a second one then ends the input.
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
};

}  // namespace event_cpp::net
