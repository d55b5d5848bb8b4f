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
// Everything can be done by tasks and by callbacks. The calls that return at once, and the two that
// register a Waiter, are what a kind of stream implements; all else is made of them.
//
// Each direction has one that waits, a task or a callback: a second one is an error of the program,
// which debug builds assert. The two directions are independent: a peer that has ended its own can
// still be written to. No call raises SIGPIPE.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: may be destroyed at any time,
// in its own callback too. A task that waits on it then goes on with std::errc::operation_canceled.
class EVENT_API Stream : public detail::StreamOps<Stream> {
 public:
  Stream() = default;
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Awaitable (see detail::StreamOps for each): read_some, receive, read_exactly, write, shutdown,
  // readable, writable; and the twins that return a Result instead of throwing: try_read_some,
  // try_receive, try_read_exactly, try_write_all.

  // These return at once: the number of bytes; for reading 0 at the end; or an error, below zero:
  // kWouldBlock if the caller has to wait, others by to_error(). Empty `room`: 0 or an error.
  virtual Io try_read(Room room) noexcept = 0;
  virtual Io try_write(Bytes bytes) noexcept = 0;
  // The same for several pieces at once, in order.
  virtual Io try_write(std::span<const Bytes> pieces) noexcept = 0;
  // Tells the peer that nothing more is sent; reading goes on. Zero, or an error.
  virtual Io try_shutdown() noexcept = 0;

  // waiter.ready() is called, once and from the loop, when trying makes sense: never from here. May
  // be called anew for the waiter that is registered.
  virtual void wait(Want want, Waiter& waiter) noexcept = 0;
  // Returns the waiter that was registered, or null. It is not called any more.
  virtual Waiter* unwait(Want want) noexcept = 0;
  // Whether trying makes sense now. False too for one that has succeeded so often that others are
  // to have their turn: wait() then calls in the next iteration.
  virtual bool may(Want want) noexcept = 0;

  // A write was given up half-way: from now on writing fails with Errc::torn, as the peer could not
  // make sense of what follows.
  virtual void tear() noexcept = 0;

  // Every wait, and every try, fails with std::errc::timed_out once no byte has moved in either
  // direction for so long; zero: no limit, as from the start. A limit for a peer that is silent,
  // not for one that is slow: see co::with_timeout(). Errors: throws std::system_error, ENOMEM.
  virtual void idle_timeout(AnyDuration limit) = 0;

  // Closes at once. Whoever waits goes on with std::errc::operation_canceled; all that is tried
  // later fails with EBADF. What was written is still sent, unless input is left that nobody has
  // read: then TCP sends a reset, which may destroy the answer on its way. See drain_and_close().
  virtual void close() noexcept = 0;
  // The same, and what was written but not sent is dropped; the peer sees a reset.
  virtual void reset() noexcept = 0;

  virtual Base& base() const noexcept = 0;

  // Calls f() in the loop whenever trying to read, or to write, makes sense, until the stream is
  // closed; it need not read everything. An empty f: no more. Replaces the one before; a callback
  // may replace itself. Errors: throws std::bad_alloc.
  void on_readable(std::function<void()> f) { on_ready(Want::read, std::move(f)); }
  void on_writable(std::function<void()> f) { on_ready(Want::write, std::move(f)); }

 private:
  void on_ready(Want want, std::function<void()> f);
};

}  // namespace event_cpp::net
