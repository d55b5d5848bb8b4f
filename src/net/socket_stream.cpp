#include "event/net/socket_stream.hpp"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "net/send_flags.hpp"
#include "net/without_sigpipe.hpp"
#ifdef __linux__
#include <sys/sendfile.h>
#endif

namespace event_cpp::net {
namespace {

constexpr std::size_t kMostPieces = 64;  // in one system call

}  // namespace

Io SocketStream::try_read(Room to) noexcept {
  if (timed_out()) [[unlikely]]
    return -ETIMEDOUT;
  if (to.empty()) return 0;
  const Io io = detail::call_recv(Event::base(), fd(), to.data(), to.size(), MSG_DONTWAIT);
  note_read(io, to.size());
  return or_failure(io);
}

Io SocketStream::try_write(Bytes bytes) noexcept {
  if (refuses_write()) [[unlikely]]
    return refuse_write();
  const Io io =
      detail::call_send(Event::base(), fd(), bytes.data(), bytes.size(), detail::kSendFlags);
  note_write(io, bytes.size());
  return io;
}

Io SocketStream::try_write(std::span<const Bytes> pieces) noexcept {
  if (refuses_write()) return refuse_write();
  std::array<iovec, kMostPieces> parts;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  const std::size_t count = std::min(pieces.size(), kMostPieces);
  std::size_t size = 0;
  for (std::size_t i = 0; i < count; ++i) {
    parts[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
    size += pieces[i].size();
  }
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);
  const Io io = detail::call_sendmsg(Event::base(), fd(), &message, detail::kSendFlags);
  note_write(io, size);
  return io;
}

Io SocketStream::try_send_file(int file, off_t& from, std::size_t count) noexcept {
  if (refuses_write()) return refuse_write();
#ifdef __linux__
  if (!is_simulated()) {
    const Io io = detail::without_sigpipe(
        [&] { return detail::result(::sendfile(fd(), file, &from, count)); });
    // Not every file can be sent so: sockets, some file systems.
    if (io != -EINVAL && io != -ENOSYS) {
      note_write(io, io > 0 ? static_cast<std::size_t>(io) : 0);
      return io;
    }
  }
#endif
  std::array<char, std::size_t{16} << 10> part;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  const Io size = detail::result(::pread(file, part.data(), std::min(part.size(), count), from));
  if (size <= 0) return size;
  const Io io = try_write(Bytes(part.data(), static_cast<std::size_t>(size)));
  if (io > 0) from += io;
  return io;
}

#ifdef __linux__

bool SocketStream::can_splice() const noexcept { return !is_simulated(); }

Io SocketStream::try_splice_to(int pipe, std::size_t count) noexcept {
  if (timed_out()) return -ETIMEDOUT;
  const Io io = detail::result(
      ::splice(fd(), nullptr, pipe, nullptr, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
  note_read(io, 0);
  return or_failure(io);
}

Io SocketStream::try_splice_from(int pipe, std::size_t count) noexcept {
  if (refuses_write()) return refuse_write();
  const Io io = detail::without_sigpipe([&] {
    return detail::result(
        ::splice(pipe, nullptr, fd(), nullptr, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
  });
  note_write(io, 0);
  return io;
}

#else

bool SocketStream::can_splice() const noexcept { return false; }
Io SocketStream::try_splice_to(int /*pipe*/, std::size_t /*count*/) noexcept { return -ENOSYS; }
Io SocketStream::try_splice_from(int /*pipe*/, std::size_t /*count*/) noexcept { return -ENOSYS; }

#endif

Io SocketStream::refuse_write() const noexcept {
  return has_failed() ? failure() : to_io(Errc::torn);
}

// A connection that has failed has no orderly end.
Io SocketStream::or_failure(Io io) const noexcept {
  return io == 0 && has_failed() ? failure() : io;
}

Io SocketStream::try_shutdown() noexcept {
  if (is_simulated()) return kernel()->shutdown(fd(), SHUT_WR);
  return detail::result(::shutdown(fd(), SHUT_WR));
}

void SocketStream::close() noexcept { release().close(); }

void SocketStream::reset() noexcept {
  Socket closed = release();
  if (!closed) return;
  try {
    closed.set_reset_on_close();
  } catch (const std::system_error&) {
    // Not a TCP socket.
  }
}

}  // namespace event_cpp::net
