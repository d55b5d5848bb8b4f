// The operations on a stream that tasks await.
#pragma once

#include <cassert>
#include <cerrno>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <type_traits>

#include "event/co/result.hpp"
#include "event/co/task.hpp"
#include "event/error.hpp"
#include "event/net/bytes.hpp"
#include "event/net/chunk.hpp"

namespace event_cpp::net {

// The result of a try_ call: a number of bytes or, below zero, an error: -errno, or
// -(kOwnErrors + Errc), or one of a category of register_errors(). See to_error().
using Io = long;
inline constexpr Io kWouldBlock = -EAGAIN;
inline constexpr Io kOwnErrors = 0x10000;
inline constexpr Io kOtherErrors = 0x20000;
constexpr Io to_io(Errc code) noexcept { return -(kOwnErrors + static_cast<Io>(code)); }
// The error of a result; an empty std::error_code if it is zero or above.
EVENT_API std::error_code to_error(Io result) noexcept;
// For streams with their own errors: returns a number B, so that the Io -(B + value) means the
// error `value` of the category. Values are below 0x10000. Lifetime: the category lives as long as
// the program. At most eight categories; registering one again returns the same number.
// Thread-safety: any thread. Errors: throws std::length_error for a ninth category.
EVENT_API Io register_errors(const std::error_category& category);

enum class Want : std::uint8_t { read, write };
using Waiter = co::detail::Waiter;

namespace detail {

[[noreturn]] EVENT_API void throw_io(Io result, const char* what);

// An operation of a task on a stream of type S: SocketStream, with direct calls, or Stream, with
// virtual ones. Self::step() tries, and returns whether the operation is complete. Self::fail()
// ends it with an error, also when the task is cancelled.
template <class S, class Self, Want kWant>
class StreamOp : public co::detail::Wait {
 public:
  explicit StreamOp(S& stream, unsigned line) noexcept : Wait(line), stream_(&stream) {}
  StreamOp(StreamOp&&) noexcept = default;
  // May be destroyed while it waits, also half-way.
  ~StreamOp() {
    if (waits()) [[unlikely]]
      give_up();
  }

  [[gnu::always_inline]] bool await_ready() { return stream_->may(kWant) && self().step(); }
  template <co::detail::TaskPromise P>
  bool await_suspend(std::coroutine_handle<P> task) noexcept {
    co::detail::Chain& chain = task.promise().chain();
    if (self().tries_anyway(chain.cancelled)) [[unlikely]]
      return try_anyway(chain, task.address());
    begin_wait(chain, task.address());
    return true;
  }

  // Of Waiter.
  void ready() final {
    if (!self().step()) return stream_->wait(kWant, *this);
    stream_->unwait(kWant);
    resume();
  }
  void dropped() noexcept final {
    tear_if_begun();
    self().fail(-ECANCELED);
    wake();
  }

  // Throws an error that step() has got.
  [[noreturn, gnu::cold]] void raise(Io io, const char* what) const {
    if constexpr (requires { stream_->throw_error(io, what); }) {
      if (io <= -kOtherErrors && stream_ != nullptr) stream_->throw_error(io, what);
    }
    throw_io(io, what);
  }

 protected:
  S& stream() const noexcept { return *stream_; }

  // Whether to call step() once more before a wait: in a cancelled task, which cannot wait; and if
  // the operation need not wait for the stream.
  bool tries_anyway(bool cancelled) const noexcept { return cancelled; }

  [[gnu::always_inline]] void begin_wait(co::detail::Chain& chain, void* frame) noexcept {
    if (chain.cancelled) [[unlikely]]
      return fail_cancelled(chain, frame);
    if (Waiter* const other = stream_->unwait(kWant); other != nullptr) [[unlikely]]
      return fail_busy(*other, chain, frame);
    begin(chain, frame);
    stream_->wait(kWant, *this);
  }

  // For a write that ends without having sent everything.
  void tear_if_begun() noexcept {
    if constexpr (requires { stream_->tear(); }) {  // not for datagrams
      if (begun_) stream_->tear();
    }
  }

  // For a write: a part was sent. Placed in the padding of Wait.
  bool begun_ = false;

 private:
  Self& self() noexcept { return static_cast<Self&>(*this); }
  // Returns whether the task is suspended. A cancelled task that has used up its budget does not
  // try: so it ends although there is always something to read.
  [[gnu::noinline]] bool try_anyway(co::detail::Chain& chain, void* frame) noexcept {
    const bool has_turn = chain.spend();
    const bool done = (has_turn || !chain.cancelled) && self().step();
    if (done && has_turn) return false;
    if (done) {
      begin_done(chain, frame);
      stream_ = nullptr;  // it may be gone when the task resumes
    } else {
      begin_wait(chain, frame);
    }
    return true;
  }
  // Instead of a wait.
  [[gnu::noinline]] void fail_cancelled(co::detail::Chain& chain, void* frame) noexcept {
    tear_if_begun();
    self().fail(-ECANCELED);
    begin_cancelled(chain, frame);
  }
  // Instead of a wait, if another task or callback waits already.
  [[gnu::noinline]] void fail_busy(Waiter& other, co::detail::Chain& chain, void* frame) noexcept {
    assert(false && "one task or callback waits for each direction");
    stream_->wait(kWant, other);
    tear_if_begun();
    self().fail(-EBUSY);
    begin_done(chain, frame);
    stream_ = nullptr;  // it may be gone when the task resumes
  }
  void give_up() noexcept {
    stream_->unwait(kWant);
    tear_if_begun();
  }
  void withdraw() noexcept final {
    give_up();
    self().fail(-ECANCELED);
  }

  S* stream_;
};

// How results are given: thrown, or in a Result.
enum class Errors : bool { thrown, returned };

template <class T, Errors kErrors>
using Given = std::conditional_t<kErrors == Errors::thrown, T, co::Result<T>>;

template <Errors kErrors, class T, class Op>
Given<T, kErrors> give(const Op& op, T value, Io io, const char* what) {
  if constexpr (kErrors == Errors::thrown) {
    if (io < 0) [[unlikely]]
      op.raise(io, what);
    return value;
  } else {
    return {std::move(value), to_error(io)};
  }
}

template <class S, Errors kErrors>
class ReadOp final : public StreamOp<S, ReadOp<S, kErrors>, Want::read> {
 public:
  ReadOp(S& stream, Room room, unsigned line) noexcept
      : StreamOp<S, ReadOp, Want::read>(stream, line), data_(room.data()), size_(room.size()) {}
  bool step() noexcept {
    const Io io = this->stream().try_read({data_, size_});
    if (io == kWouldBlock) return false;
    io_ = io;
    return true;
  }
  bool tries_anyway(bool cancelled) const noexcept { return cancelled || size_ == 0; }
  void fail(Io error) noexcept { io_ = error; }
  Given<std::size_t, kErrors> await_resume() const {
    return give<kErrors>(*this, io_ < 0 ? std::size_t{0} : static_cast<std::size_t>(io_), io_,
                         "read");
  }
  co::Waiting waiting() const noexcept override { return this->describe("read"); }

 private:
  char* data_;
  union {
    std::size_t size_;  // before
    Io io_;             // after
  };
};

template <class S, Errors kErrors>
class ReceiveOp final : public StreamOp<S, ReceiveOp<S, kErrors>, Want::read> {
 public:
  ReceiveOp(S& stream, unsigned line) noexcept : StreamOp<S, ReceiveOp, Want::read>(stream, line) {}
  ReceiveOp(ReceiveOp&&) noexcept = default;
  ~ReceiveOp() {
    if (buffer_ != nullptr) give_back_buffer(buffer_);
  }
  // Takes a buffer only when there is data.
  bool step() noexcept {
    char* const buffer = try_take_buffer();
    if (buffer == nullptr) [[unlikely]] {
      io_ = -ENOMEM;
      return true;
    }
    io_ = this->stream().try_read({buffer, kBufferSize});
    if (io_ <= 0) [[unlikely]]
      return got_nothing(buffer);
    buffer_ = buffer;
    return true;
  }
  void fail(Io error) noexcept { io_ = error; }
  Given<Chunk, kErrors> await_resume() {
    Chunk chunk;
    if (io_ > 0) chunk = Chunk(std::exchange(buffer_, nullptr), static_cast<std::size_t>(io_));
    return give<kErrors>(*this, std::move(chunk), io_, "receive");
  }
  co::Waiting waiting() const noexcept override { return this->describe("receive"); }

 private:
  [[gnu::noinline]] bool got_nothing(char* buffer) noexcept {
    give_back_buffer(buffer);
    return io_ != kWouldBlock;
  }

  char* buffer_ = nullptr;
  Io io_ = 0;
};

template <class S, Errors kErrors>
class ReadExactlyOp final : public StreamOp<S, ReadExactlyOp<S, kErrors>, Want::read> {
 public:
  ReadExactlyOp(S& stream, Room room, unsigned line) noexcept
      : StreamOp<S, ReadExactlyOp, Want::read>(stream, line), room_(room) {}
  bool step() noexcept {
    while (got_ < room_.size()) {
      const Io io = this->stream().try_read(room_.subspan(got_));
      if (io == kWouldBlock) return false;
      if (io <= 0) {
        io_ = io < 0 ? io : to_io(Errc::truncated);
        return true;
      }
      got_ += static_cast<std::size_t>(io);
      if (got_ < room_.size() && !this->stream().may(Want::read)) return false;
    }
    io_ = room_.empty() ? this->stream().try_read(room_) : 0;
    return true;
  }
  bool tries_anyway(bool cancelled) const noexcept { return cancelled || room_.empty(); }
  void fail(Io error) noexcept { io_ = error; }
  Given<std::size_t, kErrors> await_resume() const {
    return give<kErrors>(*this, got_, io_, "read_exactly");
  }
  co::Waiting waiting() const noexcept override { return this->describe("read_exactly"); }

 private:
  Room room_;
  std::size_t got_ = 0;
  Io io_ = 0;
};

template <class S, Errors kErrors>
class WriteOp final : public StreamOp<S, WriteOp<S, kErrors>, Want::write> {
 public:
  WriteOp(S& stream, Bytes bytes, unsigned line) noexcept
      : StreamOp<S, WriteOp, Want::write>(stream, line), data_(bytes.data()), left_(bytes.size()) {}
  bool step() noexcept {
    const Io io = this->stream().try_write(Bytes(data_, left_));
    if (io == static_cast<Io>(left_)) [[likely]]
      return true;
    return go_on(io);
  }
  bool tries_anyway(bool cancelled) const noexcept { return cancelled || left_ == 0; }
  void fail(Io error) noexcept {
    data_ = nullptr;
    io_ = error;
  }
  auto await_resume() const {
    const Io io = data_ == nullptr ? io_ : 0;
    if constexpr (kErrors == Errors::thrown) {
      if (io < 0) [[unlikely]]
        this->raise(io, "write");
    } else {
      return to_error(io);
    }
  }
  co::Waiting waiting() const noexcept override { return this->describe("write"); }

 private:
  // Not all of it was sent.
  [[gnu::noinline]] bool go_on(Io io) noexcept {
    if (io == kWouldBlock) return false;
    if (io < 0) {
      this->tear_if_begun();  // an idle timeout passes
      data_ = nullptr;
      io_ = io;
      return true;
    }
    this->begun_ = true;
    data_ += io;
    left_ -= static_cast<std::size_t>(io);
    return this->stream().may(Want::write) && step();
  }

  const char* data_;  // null: it has failed
  union {
    std::size_t left_;
    Io io_;
  };
};

// Of several pieces.
template <class S, Errors kErrors>
class WritePiecesOp final : public StreamOp<S, WritePiecesOp<S, kErrors>, Want::write> {
 public:
  WritePiecesOp(S& stream, std::span<const Bytes> pieces, unsigned line) noexcept
      : StreamOp<S, WritePiecesOp, Want::write>(stream, line), pieces_(pieces) {
    skip_sent();
  }
  bool step() noexcept {
    for (;;) {
      skip_sent();
      if (pieces_.empty()) {
        if (!this->begun_) io_ = this->stream().try_write(Bytes());
        return true;
      }
      const Io io = sent_ > 0 ? this->stream().try_write(Bytes(pieces_.front().subspan(sent_)))
                              : this->stream().try_write(pieces_);
      if (io == kWouldBlock) return false;
      if (io < 0) {
        this->tear_if_begun();
        io_ = io;
        return true;
      }
      this->begun_ = true;
      sent_ += static_cast<std::size_t>(io);
      skip_sent();
      if (!pieces_.empty() && !this->stream().may(Want::write)) return false;
    }
  }
  bool tries_anyway(bool cancelled) const noexcept { return cancelled || pieces_.empty(); }
  void fail(Io error) noexcept { io_ = error; }
  auto await_resume() const {
    if constexpr (kErrors == Errors::thrown) {
      if (io_ < 0) [[unlikely]]
        this->raise(io_, "write");
    } else {
      return to_error(io_);
    }
  }
  co::Waiting waiting() const noexcept override { return this->describe("write"); }

 private:
  void skip_sent() noexcept {
    while (!pieces_.empty() && sent_ >= pieces_.front().size()) {
      sent_ -= pieces_.front().size();
      pieces_ = pieces_.subspan(1);
    }
  }

  std::span<const Bytes> pieces_;
  std::size_t sent_ = 0;  // of the first piece that is left
  Io io_ = 0;
};

// Waits until trying may succeed; transfers nothing.
template <class S, Want kWant>
class ReadyOp final : public StreamOp<S, ReadyOp<S, kWant>, kWant> {
 public:
  using StreamOp<S, ReadyOp, kWant>::StreamOp;
  bool step() noexcept { return true; }
  bool tries_anyway(bool /*cancelled*/) const noexcept { return false; }
  void fail(Io error) noexcept { io_ = error; }
  void await_resume() const {
    if (io_ < 0) this->raise(io_, "wait for a stream");
  }
  co::Waiting waiting() const noexcept override {
    return this->describe(kWant == Want::read ? "readable" : "writable");
  }

 private:
  Io io_ = 0;
};

static_assert(sizeof(void*) != 8 || sizeof(ReceiveOp<int, Errors::thrown>) == 48);
static_assert(sizeof(void*) != 8 || sizeof(WriteOp<int, Errors::thrown>) == 48);

template <class S>
class ShutdownOp final : public StreamOp<S, ShutdownOp<S>, Want::write> {
 public:
  using StreamOp<S, ShutdownOp, Want::write>::StreamOp;
  // Most streams end at once, however full they are.
  bool await_ready() const noexcept { return false; }
  bool tries_anyway(bool /*cancelled*/) const noexcept { return true; }
  bool step() noexcept {
    // A pipe closes itself, which must not drop the operation that has closed it.
    if (this->waits()) this->stream().unwait(Want::write);
    io_ = this->stream().try_shutdown();
    if (io_ != kWouldBlock) return true;
    // Who waits to write more is dropped, as by close().
    if (Waiter* const writer = this->stream().unwait(Want::write)) writer->dropped();
    return false;
  }
  void fail(Io error) noexcept { io_ = error; }
  void await_resume() const {
    if (io_ < 0) this->raise(io_, "shutdown");
  }
  co::Waiting waiting() const noexcept override { return this->describe("shutdown"); }

 private:
  Io io_ = 0;
};

// All of these are awaited where they are called: `co_await stream.receive()`. Each throws
// std::system_error: a system error, such as ECONNRESET; std::errc::operation_canceled if the task
// is cancelled or the stream is closed; std::errc::timed_out after an idle_timeout(). The
// counterparts that begin with try_ return the error in a co::Result instead.
//
// An operation that need not wait ends at once, also in a cancelled task. After eight of these in a
// row the task resumes in the next iteration, so that others get a turn; on a socket or pipe that
// has failed, after each operation that has bytes to move. An operation of no bytes never waits for
// the stream; it fails if the stream is closed, has timed out or, for a write, is torn. The memory
// that `room`, `bytes` and `pieces` refer to must live until the co_await has returned or thrown;
// it is not used afterwards.
template <class S>
class StreamOps {
 public:
  // Reads what has arrived; waits until it is at least one byte. Returns the number of bytes, 0 at
  // the end of the stream.
  [[nodiscard]] auto read_some(Room room, unsigned line = __builtin_LINE()) noexcept {
    return ReadOp<S, Errors::thrown>(self(), room, line);
  }
  [[nodiscard]] auto try_read_some(Room room, unsigned line = __builtin_LINE()) noexcept {
    return ReadOp<S, Errors::returned>(self(), room, line);
  }

  // Reads what has arrived, up to 64 KiB, into a buffer of the library, and returns it as a Chunk.
  // At the end of the stream the Chunk is empty and converts to false. Best for connections that
  // are often idle: no buffer is held while the task waits. Errors: also ENOMEM.
  [[nodiscard]] auto receive(unsigned line = __builtin_LINE()) noexcept {
    return ReceiveOp<S, Errors::thrown>(self(), line);
  }
  [[nodiscard]] auto try_receive(unsigned line = __builtin_LINE()) noexcept {
    return ReceiveOp<S, Errors::returned>(self(), line);
  }

  // Fills `room` completely, and returns its size. Errors: also Errc::truncated if the stream ends
  // first. After an error or a cancellation the bytes read so far are in `room`; only
  // try_read_exactly() also returns their number. Buffered::read_exactly() keeps them for the next
  // read instead.
  [[nodiscard]] auto read_exactly(Room room, unsigned line = __builtin_LINE()) noexcept {
    return ReadExactlyOp<S, Errors::thrown>(self(), room, line);
  }
  [[nodiscard]] auto try_read_exactly(Room room, unsigned line = __builtin_LINE()) noexcept {
    return ReadExactlyOp<S, Errors::returned>(self(), room, line);
  }

  // Writes all of `bytes`; returns when the kernel (or layer below) has taken them. If the task is
  // cancelled or destroyed, or the write fails, after a part was taken, the stream is torn: every
  // later write fails with Errc::torn. try_write_all() returns a std::error_code, not a Result.
  [[nodiscard]] auto write(Bytes bytes, unsigned line = __builtin_LINE()) noexcept {
    return WriteOp<S, Errors::thrown>(self(), bytes, line);
  }
  // For a Chunk: keeps no copy of its bounds in the coroutine frame. A template, so that {data,
  // size} is no Chunk.
  template <std::same_as<Chunk> C>
  [[nodiscard]] auto write(const C& chunk, unsigned line = __builtin_LINE()) noexcept {
    return write(chunk.bytes(), line);
  }
  [[nodiscard]] auto write(std::span<const Bytes> pieces,
                           unsigned line = __builtin_LINE()) noexcept {
    return WritePiecesOp<S, Errors::thrown>(self(), pieces, line);
  }
  [[nodiscard]] auto try_write_all(Bytes bytes, unsigned line = __builtin_LINE()) noexcept {
    return WriteOp<S, Errors::returned>(self(), bytes, line);
  }
  [[nodiscard]] auto try_write_all(std::span<const Bytes> pieces,
                                   unsigned line = __builtin_LINE()) noexcept {
    return WritePiecesOp<S, Errors::returned>(self(), pieces, line);
  }

  // Ends this direction: the peer reads end-of-file. Reading goes on. If this has to wait, as over
  // TLS, another task that waits to write gets std::errc::operation_canceled. See shutdown(2).
  [[nodiscard]] auto shutdown(unsigned line = __builtin_LINE()) noexcept {
    return ShutdownOp<S>(self(), line);
  }

  // Wait until trying to read, or to write, may succeed, or would fail at once: on a stream that is
  // closed already, has timed out or has failed, these end without an error. They transfer nothing.
  // An edge-triggered stream knows only what its own calls, such as try_read(), have met. To wait
  // for calls of your own on its fd, use co::ready() on a duplicate of it (dup(2)): on the fd
  // itself it would make the stream level-triggered.
  [[nodiscard]] auto readable(unsigned line = __builtin_LINE()) noexcept {
    return ReadyOp<S, Want::read>(self(), line);
  }
  [[nodiscard]] auto writable(unsigned line = __builtin_LINE()) noexcept {
    return ReadyOp<S, Want::write>(self(), line);
  }

 private:
  S& self() noexcept { return static_cast<S&>(*this); }
};

}  // namespace detail
}  // namespace event_cpp::net
