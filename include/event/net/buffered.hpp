// Buffered: lines and messages over a stream.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "event/net/stream.hpp"

namespace event_cpp::net {

namespace detail {
class FlushList;
}  // namespace detail

// How many bytes a Buffered holds at most. (tls::Limits is another type.)
struct Limits {
  std::size_t low = std::size_t{16} << 10;   // write() waits until no more than this is unsent
  std::size_t high = std::size_t{64} << 10;  // write() waits if more than this is unsent
  std::size_t line = std::size_t{8}
                     << 10;  // the longest line, or text before a delimiter, without its end
  std::size_t read = std::size_t{64} << 10;  // the most that read_exactly() accepts
  std::size_t most = std::size_t{16} << 20;  // put() fails if more than this would be unsent
};

// Splits what is read from a stream into lines and messages, and collects small writes into few
// system calls. While it exists, read and write the stream only through it: it may hold bytes that
// were read ahead, or that are not sent yet. After flush() you may write to the stream directly, as
// send_file() does; before you read from it directly, as copy() does, take what is in buffered().
// It holds no buffers while they are empty.
//
// A read that is cancelled loses nothing: the next read returns what has arrived.
//
// One task at a time reads, and one waits in write() or flush(); these may be different tasks. A
// second read, and a second write or flush that would have to wait, is a programming error: debug
// builds assert, others fail it with std::errc::device_or_resource_busy, and nothing has changed.
// Reads and writes that need not wait for the stream end at once. After 256 in a row that only
// copy, or eight that send, the task resumes in the next iteration, so that others get a turn.
//
// Before you shut the stream down or close it, await flush(). If bytes are unsent then, they are
// lost, and later writes throw; only drain_and_close() first sends what the stream takes at once.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: the stream outlives it. May be
// destroyed while a task waits in it: the task resumes with std::errc::operation_canceled.
class EVENT_API Buffered final : private Waiter {
 public:
  explicit Buffered(Stream& stream, Limits limits = {}) noexcept
      : stream_(stream), limits_(limits), in_list_(*this) {}
  // Sends what the stream takes without waiting. The rest is lost: call flush() first. In a child
  // of fork(2) the destructor sends nothing that was put before the fork, since the parent sends
  // it. A child that runs the base would send it too, so flush before you fork.
  ~Buffered();
  Buffered(const Buffered&) = delete;
  Buffered& operator=(const Buffered&) = delete;

  class ReadLine;
  class ReadText;
  class ReadChunk;
  class Drain;

  // All reads are awaited. A string_view that they return refers to memory of this object, and is
  // valid until the next read. Errors: throw std::system_error as Stream::read_some() does. If a
  // read has to wait and an earlier send has failed, it throws the error of the send, since the
  // peer may be waiting for what was not sent. A read that fails consumes nothing: the bytes stay
  // in buffered().

  // Reads a line, and returns it without its end, which is "\n" or "\r\n". Bytes after the last
  // line end are a line as well. Returns std::nullopt at the end of the stream. Errors: also
  // Errc::too_long if the line exceeds Limits::line.
  [[nodiscard]] ReadLine read_line(unsigned line = __builtin_LINE()) noexcept;

  // Reads up to the next `delimiter`, and returns the bytes before it; the delimiter is skipped.
  // Errors: also Errc::too_long if they exceed Limits::line; Errc::truncated if the stream ends
  // first; std::errc::invalid_argument for an empty delimiter.
  // Lifetime: `delimiter` must live until the co_await has ended.
  [[nodiscard]] ReadText read_until(std::string_view delimiter,
                                    unsigned line = __builtin_LINE()) noexcept;

  // Reads exactly `count` bytes. Errors: also Errc::truncated if the stream ends first;
  // Errc::too_long if `count` exceeds Limits::read.
  [[nodiscard]] ReadText read_exactly(std::size_t count, unsigned line = __builtin_LINE()) noexcept;

  // Returns what is buffered without consuming it; waits until it is at least one byte. Empty at
  // the end of the stream. See consume().
  [[nodiscard]] ReadText peek(unsigned line = __builtin_LINE()) noexcept;

  // Takes what is buffered, or reads from the stream if nothing is. Returns an empty Chunk, which
  // converts to false, at the end of the stream.
  [[nodiscard]] ReadChunk receive(unsigned line = __builtin_LINE()) noexcept;

  // The bytes that were read from the stream and not consumed yet. Never waits.
  std::string_view buffered() const noexcept;
  // Removes the first `count` bytes of buffered(). Requires: count <= buffered().size().
  void consume(std::size_t count) noexcept;

  // Copies `bytes`. They are sent when a task next waits in a read of this object, and at the
  // latest before the base waits, so that several answers become one system call. Until then the
  // base has work. If it is stopped before that, they are sent in its next run. If the
  // stream is shut down before that, they are lost: call flush() first. Never waits. Errors: throws
  // std::system_error: the error of an earlier send that failed, which is
  // std::errc::device_or_resource_busy if other code waited to write to the stream;
  // std::errc::no_buffer_space if more than Limits::most would be unsent; std::bad_alloc. After an
  // error nothing was copied.
  void put(Bytes bytes);

  // co_await: calls put(), and if more than Limits::high is unsent then, waits until no more than
  // Limits::low is. If the wait is cancelled, nothing is lost: the bytes were copied, and are still
  // sent. Errors: as put(), and then nothing was copied; also the error of sending.
  [[nodiscard]] Drain write(Bytes bytes, unsigned line = __builtin_LINE()) noexcept;

  // co_await: sends, and waits until nothing is unsent. If the wait is cancelled, nothing is lost.
  // Errors: throws std::system_error, the error of sending.
  [[nodiscard]] Drain flush(unsigned line = __builtin_LINE()) noexcept;

  // The number of bytes that put() and write() have copied and the stream has not taken yet.
  std::size_t unsent() const noexcept { return out_.size() - sent_; }

  Stream& stream() const noexcept { return stream_; }
  const Limits& limits() const noexcept { return limits_; }

 private:
  friend class detail::FlushList;
  class Read;

  void ready() override;
  void dropped() noexcept override;

  void tidy() noexcept;
  Io fill() noexcept;
  void send() noexcept;
  void send_failed(Io error) noexcept;
  bool start_waiting() noexcept;
  void stop_waiting() noexcept;
  void release_output() noexcept;
  void throw_if_failed(const char* what) const;

  Stream& stream_;
  const Limits limits_;

  // Bytes that were read and not consumed: `spill_` from `taken_` on or, if `spill_` is empty,
  // `chunk_`.
  Chunk chunk_;
  std::string spill_;
  std::size_t taken_ = 0;
  std::size_t searched_ = 0;  // the first bytes of these, which contain no delimiter

  std::string out_;
  std::size_t sent_ = 0;  // of out_
  Io failed_ = 0;         // the error of a send
  // The write and the read for which a task is suspended.
  Drain* drain_ = nullptr;
  Read* reader_ = nullptr;
  struct InList : co::detail::Link {
    explicit InList(Buffered& its_owner) noexcept : owner(its_owner) {}
    Buffered& owner;
  } in_list_;                // in the list of objects to flush at the end of the iteration
  bool waits_ = false;       // whether this waits for the stream to be writable
  std::uint32_t forks_ = 0;  // of the process that has put it in the list
};

// A read that is not complete.
class EVENT_API Buffered::Read : public detail::StreamOp<Stream, Read, Want::read> {
 public:
  enum class Kind : std::uint8_t { line, until, exactly, peek, chunk };

  bool await_ready() const noexcept { return false; }
  template <co::detail::TaskPromise P>
  bool await_suspend(std::coroutine_handle<P> task) noexcept {
    return begin_read(task.promise().chain(), task.address());
  }
  bool step() noexcept;
  void fail(Io error) noexcept {
    io_ = error;
    leave();
  }
  // Ends the wait with an error, if this waits.
  void end(Io error) noexcept;
  // The Buffered is being destroyed.
  void abandon() noexcept;
  co::Waiting waiting() const noexcept override;

 protected:
  Read(Buffered& buffered, Kind kind, std::string_view delimiter, std::size_t count,
       unsigned line) noexcept
      : StreamOp(buffered.stream_, line),
        kind_(kind),
        buffered_(buffered),
        result_(delimiter.data(), delimiter.size()),
        count_(count) {}
  Read(Read&&) noexcept = default;
  ~Read() { leave(); }

  // Consumes what was read, or throws.
  void finish();
  bool at_end() const noexcept { return at_end_; }
  std::string_view text() const noexcept { return result_; }
  Buffered& buffered() const noexcept { return buffered_; }

 private:
  bool begin_read(co::detail::Chain& chain, void* frame) noexcept;
  [[gnu::noinline]] void leave_or_throw();
  bool complete() noexcept;
  bool complete_delimited(std::string_view delimiter) noexcept;
  bool end_of_stream() noexcept;
  void leave() noexcept {
    if (std::exchange(suspended_, false)) buffered_.reader_ = nullptr;
  }

  Kind kind_;
  bool at_end_ = false;
  bool suspended_ = false;  // this is reader_
  Buffered& buffered_;
  std::string_view result_;  // before: the delimiter
  std::size_t count_;        // of bytes to consume
  Io io_ = 0;
};

class Buffered::ReadLine final : public Read {
 public:
  std::optional<std::string_view> await_resume() {
    finish();
    return at_end() ? std::nullopt : std::optional(text());
  }

 private:
  friend class Buffered;
  ReadLine(Buffered& buffered, unsigned line) noexcept
      : Read(buffered, Kind::line, "\n", 0, line) {}
};

class Buffered::ReadText final : public Read {
 public:
  std::string_view await_resume() {
    finish();
    return text();
  }

 private:
  friend class Buffered;
  using Read::Read;
};

class Buffered::ReadChunk final : public Read {
 public:
  Chunk await_resume();

 private:
  friend class Buffered;
  ReadChunk(Buffered& buffered, unsigned line) noexcept
      : Read(buffered, Kind::chunk, {}, 0, line) {}
};

// Waits until few enough bytes are unsent.
class EVENT_API Buffered::Drain final : public co::detail::Wait {
 public:
  Drain(Drain&&) noexcept = default;
  ~Drain() { leave(); }
  template <co::detail::TaskPromise P>
  bool await_suspend(std::coroutine_handle<P> task) {
    return begin_drain(task.promise().chain(), task.address());
  }
  void await_resume() {
    if (waited_) finish();
  }
  co::Waiting waiting() const noexcept override { return describe("write"); }

 private:
  friend class Buffered;
  Drain(Buffered& buffered, Bytes bytes, bool flushes, unsigned line) noexcept
      : Wait(line), flushes_(flushes), buffered_(buffered), bytes_(bytes) {}

  bool begin_drain(co::detail::Chain& chain, void* frame);
  bool is_enough() const noexcept;
  void finish();
  void end() noexcept {
    if (waits()) wake();
  }
  // The Buffered is being destroyed.
  void abandon() noexcept;
  void leave() noexcept {
    if (std::exchange(suspended_, false)) buffered_.drain_ = nullptr;
  }
  void withdraw() noexcept override { leave(); }

  bool flushes_;
  bool waited_ = false;     // for others to have their turn, too
  bool suspended_ = false;  // this is drain_
  Buffered& buffered_;
  Bytes bytes_;
  Io io_ = 0;
};

}  // namespace event_cpp::net
