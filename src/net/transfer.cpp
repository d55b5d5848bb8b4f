#include "event/net/transfer.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/unique_fd.hpp"
#include "event/co/timeout.hpp"
#include "net/net_state.hpp"

namespace event_cpp::net {

namespace {

// A stream to which bytes were promised that have not been sent: it is torn if the task ends early.
struct Promised {
  Stream& to;
  std::uint64_t left = 0;
  ~Promised() {
    if (left > 0) to.tear();
  }
};

// The bytes go from socket to socket through a pipe, and never into this process.
class Pipe {
 public:
  static constexpr std::size_t kSize = std::size_t{1} << 20;

  Pipe() noexcept {
#ifdef __linux__
    int ends[2];
    if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return;
    reader_ = event_cpp::detail::own_internal(ends[0]);
    writer_ = event_cpp::detail::own_internal(ends[1]);
    static_cast<void>(::fcntl(writer(), F_SETPIPE_SZ, static_cast<int>(kSize)));  // or 64 KiB
#endif
  }

  bool is_open() const noexcept { return reader_ && writer_; }
  int reader() const noexcept { return reader_.get(); }
  int writer() const noexcept { return writer_.get(); }

 private:
  event_cpp::detail::UniqueFd reader_;
  event_cpp::detail::UniqueFd writer_;
};

// Until the end, or until it turns out that the system cannot do it: `can` is false then.
co::Task<std::uint64_t> splice_all(SocketStream& from, SocketStream& to, Pipe& pipe, bool& can) {
  std::uint64_t total = 0;
  Promised in_pipe{to};
  for (;;) {
    co_await from.readable();
    const Io in = from.try_splice_to(pipe.writer(), Pipe::kSize);
    if (in == 0) break;
    if (in == kWouldBlock) continue;
    can = in != -ENOSYS && in != -EINVAL;
    if (!can) break;
    if (in < 0) detail::throw_io(in, "copy");
    in_pipe.left = static_cast<std::uint64_t>(in);
    total += in_pipe.left;
    while (in_pipe.left > 0) {
      const Io out = to.try_splice_from(pipe.reader(), static_cast<std::size_t>(in_pipe.left));
      if (out == kWouldBlock) {
        co_await to.writable();
        continue;
      }
      if (out < 0) detail::throw_io(out, "copy");
      in_pipe.left -= static_cast<std::uint64_t>(out);
    }
  }
  co_return total;
}

}  // namespace

co::Task<std::uint64_t> copy(Stream& from, Stream& to) {
  auto* const in = dynamic_cast<SocketStream*>(&from);
  auto* const out = dynamic_cast<SocketStream*>(&to);
  bool can_splice = in != nullptr && out != nullptr && in->can_splice() && out->can_splice();
  std::uint64_t total = 0;
  for (;;) {
    Chunk chunk = co_await from.receive();
    if (!chunk) break;
    const bool many = chunk.size() == detail::kBufferSize;
    total += chunk.size();
    Promised in_hand{to, chunk.size()};
    co_await to.write(chunk.bytes());
    in_hand.left = 0;
    if (!many || !can_splice) continue;
    chunk = Chunk();
    Pipe pipe;
    if (!pipe.is_open()) continue;
    const std::uint64_t spliced = co_await splice_all(*in, *out, pipe, can_splice);
    total += spliced;
    if (can_splice) break;
  }
  co_await to.shutdown();
  co_return total;
}

namespace {

// What is collected for this stream goes out first, and with it all that is on this base. Who waits
// to write more is dropped, as by close().
co::Task<> drain(Stream& stream) {
  if (auto& list = detail::state_of(stream.base()).flush_list) list->flush();
  if (Waiter* const writer = stream.unwait(Want::write)) writer->dropped();
  co_await stream.shutdown();
  for (;;) {
    const Chunk chunk = co_await stream.receive();
    if (!chunk) break;
  }
}

}  // namespace

co::Task<> drain_and_close(Stream& stream, AnyDuration limit) {
  struct Close {
    Stream& stream;
    ~Close() { stream.close(); }
  } const at_the_end{stream};
  bool cancelled = false;
  try {
    co_await co::try_with_timeout(limit, drain(stream));
  } catch (const std::system_error& error) {
    cancelled = error.code() == std::errc::operation_canceled;
  }
  if (cancelled) co::detail::throw_cancelled();
}

co::Task<std::uint64_t> send_file(SocketStream& to, int fd, off_t from, std::uint64_t count) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 20;  // in one call
  std::uint64_t sent = 0;
  Promised rest{to};
  while (sent < count) {
    co_await to.writable();
    const Io io =
        to.try_send_file(fd, from, static_cast<std::size_t>(std::min(kMost, count - sent)));
    if (io == 0) break;
    if (io == kWouldBlock) continue;
    if (io < 0) detail::throw_io(io, "send_file");
    sent += static_cast<std::uint64_t>(io);
    rest.left = count - sent;
  }
  rest.left = 0;
  co_return sent;
}

co::Task<std::uint64_t> SocketStream::send_file(int file, off_t from, std::uint64_t count) {
  return net::send_file(*this, file, from, count);
}

}  // namespace event_cpp::net
