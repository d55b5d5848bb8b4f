#include "event/net/pipe_stream.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>

#include "event/net/detail/without_sigpipe.hpp"
#include "net/gather.hpp"

namespace event_cpp::net {
namespace {

Socket prepare(int fd) {
  Socket owned(std::max(fd, -1));  // lower ones are not the system's
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
      ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    throw std::system_error(errno, std::system_category(), "event::net::PipeStream");
  }
  return owned;
}

// Without SIGPIPE: by a flag of the call where the kernel has it (Linux 6.18), else by the mask.
Io write_quietly(int fd, const iovec* parts, int count) noexcept {
#ifdef __linux__
  constexpr int kNoSignal = 0x100;  // RWF_NOSIGNAL
  static std::atomic<bool> has_flag{true};
  if (has_flag.load(std::memory_order_relaxed)) {
    const Io io = detail::uninterrupted(
        [&] { return detail::result(::pwritev2(fd, parts, count, -1, kNoSignal)); });
    if (io != -EOPNOTSUPP && io != -ENOSYS && io != -EINVAL) return io;
    has_flag.store(false, std::memory_order_relaxed);
  }
#endif
  return detail::without_sigpipe([&] {
    return detail::uninterrupted([&] { return detail::result(::writev(fd, parts, count)); });
  });
}

// A terminal gives a line at a time, a pipe with O_DIRECT a packet, and a file that cannot be
// polled ends without another event.
bool gives_all_there_is(int fd) noexcept {
  struct stat file {};
  if (::fstat(fd, &file) != 0 || !S_ISFIFO(file.st_mode)) return false;
#ifdef O_DIRECT
  return (::fcntl(fd, F_GETFL) & O_DIRECT) == 0;
#else
  return true;
#endif
}

}  // namespace

PipeStream::PipeStream(Base& base, int fd)
    : SocketEvent(base, prepare(fd)),
      is_terminal_(::isatty(fd) == 1),
      gives_all_(gives_all_there_is(fd)) {}

Io PipeStream::try_read(Room room) noexcept {
  if (fd() == -1) return -EBADF;
  if (timed_out()) return -ETIMEDOUT;
  if (room.empty()) return 0;
  const Io io =
      detail::uninterrupted([&] { return detail::result(::read(fd(), room.data(), room.size())); });
  // Nobody has the other end of the terminal open any more.
  if (io == -EIO && is_terminal_) return 0;
  return noted_read(io, gives_all_ ? room.size() : 0);
}

Io PipeStream::try_write(Bytes bytes) noexcept { return try_write({&bytes, 1}); }

Io PipeStream::try_write(std::span<const Bytes> pieces) noexcept {
  if (refuses_write()) return refuse_write();
  const detail::Gathered gathered(pieces);
  if (gathered.size() == 0) return fd() == -1 ? -EBADF : 0;
  return noted_write(write_quietly(fd(), gathered.parts(), gathered.count()), gathered.size());
}

Io PipeStream::try_shutdown() noexcept {
  if (fd() == -1) return -EBADF;
  if (!is_terminal_) {
    close();
    return 0;
  }
  termios settings{};
  if (::tcgetattr(fd(), &settings) != 0) return -errno;
  const char end = static_cast<char>(settings.c_cc[VEOF]);
  const Io io = try_write(Bytes(std::span<const char>(&end, 1)));
  return io < 0 ? io : 0;
}

void PipeStream::close() noexcept { release().close(); }

}  // namespace event_cpp::net
