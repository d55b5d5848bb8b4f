// Stream: the interface of a byte stream in both directions.
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

// A connection: TCP, Unix, TLS, a pipe, or in memory. Code that is written for Stream works with
// all of them.
//
// Tasks await the operations; callbacks use on_readable(), on_writable() and the try_ calls. A
// derived class implements the pure virtual functions; all others are built on them.
//
// At most one task or callback waits for each direction. A second operation that would have to wait
// is a programming error: debug builds assert, others fail it with
// std::errc::device_or_resource_busy, and the first one waits on. The two directions are
// independent: after the peer has shut down its direction, it can still be written to. No call
// raises SIGPIPE.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: may be destroyed at any time,
// in its own callback too. Then a task that waits on it resumes with std::errc::operation_canceled.
class EVENT_API Stream : public detail::StreamOps<Stream> {
 public:
  Stream() = default;
  virtual ~Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // The awaitable operations are inherited from detail::StreamOps, which documents them:
  //   - read_some, receive, read_exactly, write, shutdown, readable, writable
  //   - try_read_some, try_receive, try_read_exactly, try_write_all, which return the error in a
  //     result instead of throwing it

  // The following calls never wait and are not awaited. They return the number of bytes, or an
  // error below zero: kWouldBlock if there is nothing to read or no room to write; for others see
  // to_error(). try_read() returns 0 at the end of the stream, or if `room` is empty; try_write()
  // returns 0 if there is nothing to write; both return -EBADF once the stream is closed, even if
  // `room` or `bytes` is empty.
  virtual Io try_read(Room room) noexcept = 0;
  // May take only a part of the bytes.
  virtual Io try_write(Bytes bytes) noexcept = 0;
  // The same for several pieces at once, in order: see writev(2).
  virtual Io try_write(std::span<const Bytes> pieces) noexcept = 0;
  // Ends this direction: the peer reads end-of-file. Reading goes on. Returns zero or an error.
  virtual Io try_shutdown() noexcept = 0;

  // Registers `waiter`: the loop calls waiter.ready() once, when trying again may succeed, and
  // never inside this call. Registering the same waiter twice is allowed. Lifetime: the caller owns
  // the waiter, which must live until it is called or unwait() was called.
  virtual void wait(Want want, Waiter& waiter) noexcept = 0;
  // Removes the registered waiter, which is not called any more. Returns it, or null.
  virtual Waiter* unwait(Want want) noexcept = 0;
  // Whether a try may succeed now. Also false after several successes in one iteration, for
  // fairness: wait() then calls back in the next iteration.
  virtual bool may(Want want) noexcept = 0;

  // Marks the stream as torn: a write was given up half-way, so the peer could not interpret what
  // would follow. Every later write fails with Errc::torn.
  virtual void tear() noexcept = 0;

  // After `limit` without a byte moved in either direction, every read, every write and every try
  // of these fails with std::errc::timed_out, until this is called again; readable() and writable()
  // end at once, without an error. Zero, the default, or less means no limit. The time runs even if
  // nothing waits on the stream, and data that arrives on a SocketStream restarts it, even if
  // nobody reads them. This catches a silent peer, but not a slow one: for that see
  // co::with_timeout(). Errors: throws std::system_error, ENOMEM.
  virtual void idle_timeout(AnyDuration limit) = 0;

  // Closes at once. A task that waits on the stream resumes in the next iteration, with
  // std::errc::operation_canceled; later operations fail with EBADF. The kernel still sends what
  // was written. The exception: if received bytes were not read, TCP sends a reset, and the peer
  // may lose data that was sent before. To avoid that, see drain_and_close().
  virtual void close() noexcept = 0;
  // Closes, and drops what was written and not sent yet. The peer sees a reset (ECONNRESET).
  virtual void reset() noexcept = 0;

  virtual Base& base() const noexcept = 0;

  // Throws the exception for an error that a call of this stream has returned: std::system_error,
  // or a class derived from it with more details.
  [[noreturn]] virtual void throw_error(Io error, const char* what) const;

  // Calls f() in the loop whenever trying to read, or to write, may succeed, until the stream is
  // closed. f need not read everything: it is called again. Replaces an earlier function, and ends
  // the wait of a task with std::errc::operation_canceled; an empty f ends the calls. f may replace
  // itself. On a closed stream on_readable() and on_writable() do nothing. If both directions may
  // succeed, their functions are called in turn. Errors: throws std::bad_alloc.
  void on_readable(std::function<void()> f) { on_ready(Want::read, std::move(f)); }
  void on_writable(std::function<void()> f) { on_ready(Want::write, std::move(f)); }

 private:
  void on_ready(Want want, std::function<void()> f);
};

}  // namespace event_cpp::net
