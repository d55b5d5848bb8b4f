// Stream: bytes in both directions, whatever carries them.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <system_error>

#include "event/co/task.hpp"
#include "event/net/bytes.hpp"
#include "event/net/chunk.hpp"
#include "event/net/detail/stream_ops.hpp"
#include "event/time.hpp"

namespace event_cpp::net {

// A connection: TCP, Unix, TLS, or in memory. Code that is written against this runs over all of
// them.
//
// Tasks await the operations; callbacks use on_readable(), on_writable() and the try_ calls. A
// class that derives from this implements the pure virtual functions; all others are built on them.
//
// At most one task or callback waits for each direction. A second one is an error of the program,
// which debug builds assert. The two directions are independent: after a peer has ended its own, it
// can still be written to. No call raises SIGPIPE.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: may be destroyed at any time,
// in its own callback too. A task that waits on it then goes on with std::errc::operation_canceled.
class EVENT_API Stream : public detail::StreamOps<Stream> {
 public:
  Stream() = default;
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Awaitable, so that they wait (see detail::StreamOps for each): read_some, receive,
  // read_exactly, write, shutdown, readable, writable; and the twins that return a Result instead
  // of throwing: try_read_some, try_receive, try_read_exactly, try_write_all.

  // These never wait, and are not awaited. They return the number of bytes, and try_read() 0 at the
  // end of the stream; or an error, which is below zero: kWouldBlock if there is nothing to read,
  // or no room to write. See to_error() for the others. With an empty `room`, try_read() returns 0
  // or an error.
  virtual Io try_read(Room room) noexcept = 0;
  virtual Io try_write(Bytes bytes) noexcept = 0;
  // The same for several pieces at once, in order.
  virtual Io try_write(std::span<const Bytes> pieces) noexcept = 0;
  // Tells the peer that nothing more is sent. Reading goes on. Returns zero or an error.
  virtual Io try_shutdown() noexcept = 0;

  // Registers `waiter`: the loop calls waiter.ready() once, when it makes sense to try again, and
  // never inside this call. Registering the same waiter twice is allowed.
  virtual void wait(Want want, Waiter& waiter) noexcept = 0;
  // Returns the waiter that was registered, or null. It is not called any more.
  virtual Waiter* unwait(Want want) noexcept = 0;
  // Whether it makes sense to try now. Also false after several successes in one iteration, so that
  // others have their turn: wait() then calls back in the next iteration.
  virtual bool may(Want want) noexcept = 0;

  // Marks the stream as torn: a write has ended half-way, so the peer could not make sense of what
  // follows. Every later write fails with Errc::torn.
  virtual void tear() noexcept = 0;

  // Once no byte has moved in either direction for `limit`, every wait and every try fails with
  // std::errc::timed_out, until this is called again. Zero, the default, means no limit. The time
  // counts whether or not anybody waits on the stream. This catches a peer that is silent, not one
  // that is slow: see co::with_timeout(). Errors: throws std::system_error, ENOMEM.
  virtual void idle_timeout(AnyDuration limit) = 0;

  // Closes at once. A task that waits on the stream goes on in the next iteration, with
  // std::errc::operation_canceled; later operations fail with EBADF. What was written is still
  // sent. The exception: if received bytes are left that nobody has read, TCP sends a reset, and
  // the peer may lose what was sent before it. See drain_and_close().
  virtual void close() noexcept = 0;
  // Closes, and drops what was written and not sent yet. The peer sees a reset.
  virtual void reset() noexcept = 0;

  virtual Base& base() const noexcept = 0;

  // Throws what an error of this stream means: std::system_error, or what says more. Requires: an
  // error that a call of this stream has returned.
  [[noreturn]] virtual void throw_error(Io error, const char* what) const;

  // Calls f() in the loop whenever it makes sense to try to read, or to write, until the stream is
  // closed. f need not read everything. Replaces the function before; an empty f ends the calls. A
  // callback may replace itself. Errors: throws std::bad_alloc.
  void on_readable(std::function<void()> f) { on_ready(Want::read, std::move(f)); }
  void on_writable(std::function<void()> f) { on_ready(Want::write, std::move(f)); }

 private:
  void on_ready(Want want, std::function<void()> f);
};

}  // namespace event_cpp::net
