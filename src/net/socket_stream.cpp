#include "event/net/socket_stream.hpp"

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "event/net/detail/without_sigpipe.hpp"
#include "net/gather.hpp"
#ifdef __linux__
#include <sys/sendfile.h>
#endif

namespace event_cpp::net {
#ifdef __linux__
namespace {

Io splice_some(int from, int to, std::size_t count) noexcept {
  return detail::uninterrupted([&] {
    return detail::result(
        ::splice(from, nullptr, to, nullptr, count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
  });
}

}  // namespace
#endif

Io SocketStream::read_nothing(ssize_t size, Room room) noexcept {
  if (size < 0 && errno == EINTR) return try_read_otherwise(room);
  return noted_read(size < 0 ? -errno : 0, room.size());
}
Io SocketStream::write_less(ssize_t size, Bytes bytes) noexcept {
  if (size < 0 && errno == EINTR) return try_write_otherwise(bytes);
  return noted_write(size < 0 ? -errno : size, bytes.size());
}

Io SocketStream::try_read_otherwise(Room room) noexcept {
  if (fd() == -1) return -EBADF;
  if (timed_out()) return -ETIMEDOUT;
  if (room.empty()) return 0;
  return noted_read(detail::call_recv(Event::base(), fd(), room.data(), room.size(), MSG_DONTWAIT),
                    room.size());
}

// Without bytes there is no call: over SOCK_SEQPACKET it would send the end, and some systems
// refuse it.
Io SocketStream::try_write_otherwise(Bytes bytes) noexcept {
  if (refuses_write()) return refuse_write();
  if (bytes.empty()) return fd() == -1 ? -EBADF : 0;
  return noted_write(
      detail::call_send(Event::base(), fd(), bytes.data(), bytes.size(), detail::kSendFlags),
      bytes.size());
}

Io SocketStream::try_write(std::span<const Bytes> pieces) noexcept {
  if (refuses_write()) return refuse_write();
  detail::Gathered gathered(pieces);
  if (gathered.size() == 0) return try_write_otherwise(Bytes());
  msghdr message{};
  message.msg_iov = gathered.parts();
  message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(gathered.count());
  return noted_write(detail::call_sendmsg(Event::base(), fd(), &message, detail::kSendFlags),
                     gathered.size());
}

Io SocketStream::try_send_file(int file, off_t& from, std::size_t count) noexcept {
  if (refuses_write()) return refuse_write();
#ifdef __linux__
  if (!is_simulated()) {
    const Io io = detail::without_sigpipe([&] {
      return detail::uninterrupted(
          [&] { return detail::result(::sendfile(fd(), file, &from, count)); });
    });
    // Not every file can be sent so: sockets, some file systems.
    if (io != -EINVAL && io != -ENOSYS) {
      return noted_write(io, io > 0 ? static_cast<std::size_t>(io) : 0);
    }
  }
#endif
  std::array<char, std::size_t{16} << 10> part;  // NOLINT(cppcoreguidelines-pro-type-member-init)
  const Io size = detail::uninterrupted([&] {
    return detail::result(::pread(file, part.data(), std::min(part.size(), count), from));
  });
  if (size <= 0) return size;
  const Io io = try_write(Bytes(part.data(), static_cast<std::size_t>(size)));
  if (io > 0) from += io;
  return io;
}

#ifdef __linux__

bool SocketStream::can_splice() const noexcept { return !is_simulated(); }

Io SocketStream::try_splice_to(int pipe, std::size_t count) noexcept {
  if (timed_out()) return -ETIMEDOUT;
  const Io io = splice_some(fd(), pipe, count);
  return noted_read(io, 0);
}

Io SocketStream::try_splice_from(int pipe, std::size_t count) noexcept {
  if (refuses_write()) return refuse_write();
  const Io io = detail::without_sigpipe([&] { return splice_some(pipe, fd(), count); });
  return noted_write(io, 0);
}

#else

bool SocketStream::can_splice() const noexcept { return false; }
Io SocketStream::try_splice_to(int /*pipe*/, std::size_t /*count*/) noexcept { return -ENOSYS; }
Io SocketStream::try_splice_from(int /*pipe*/, std::size_t /*count*/) noexcept { return -ENOSYS; }

#endif

Io SocketStream::try_shutdown() noexcept {
  const Io io = is_simulated() ? kernel()->shutdown(fd(), SHUT_WR)
                               : detail::result(::shutdown(fd(), SHUT_WR));
  if (io == 0) note_shutdown();
  return io;
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
