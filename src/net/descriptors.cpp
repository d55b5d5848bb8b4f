// Descriptors that are passed over Unix sockets.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "event/net/socket_stream.hpp"
#include "event/net/transfer.hpp"

namespace event_cpp::net {
namespace {

// Room for more descriptors than are wanted, so that those in excess can be closed.
constexpr std::size_t kMostDescriptors = 16;

// A message of one byte, with descriptors.
struct Message : msghdr {
  Message() noexcept : msghdr() {
    msg_iov = &data;
    msg_iovlen = 1;
    msg_control = control.data();
    msg_controllen = control.size();
  }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostDescriptors * sizeof(int))> control{};
};

// Linux takes and ignores descriptors that are sent over other sockets.
Io check_is_unix(int socket) noexcept {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  const Io io = detail::result(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size));
  return io < 0 || address.ss_family == AF_UNIX ? io : -EINVAL;
}

Io send_now(int over, int fd) noexcept {
  if (const Io io = check_is_unix(over); io < 0) return io;
  Message message;
  message.msg_controllen = CMSG_SPACE(sizeof fd);
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return detail::uninterrupted(
      [&] { return detail::result(::sendmsg(over, &message, detail::kSendFlags)); });
}

Io receive_now(int over, int& fd) noexcept {
#ifdef MSG_CMSG_CLOEXEC
  constexpr int kCloseByExec = MSG_CMSG_CLOEXEC;
#else
  constexpr int kCloseByExec = 0;
#endif
  fd = -1;
  Message message;
  const Io size = detail::uninterrupted(
      [&] { return detail::result(::recvmsg(over, &message, kCloseByExec | MSG_DONTWAIT)); });
  if (size < 0) return size;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int received = -1;
      std::memcpy(&received, CMSG_DATA(header) + i * sizeof received, sizeof received);
      if (fd >= 0 || size == 0) {
        ::close(received);
        continue;
      }
      fd = received;
      if (kCloseByExec == 0) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
  }
  if (fd >= 0 || size == 0) return size;
  // One came, and this process may have no more.
  return (message.msg_flags & MSG_CTRUNC) != 0 ? -EMFILE : -EBADMSG;
}

}  // namespace

void send_descriptor(const Socket& over, int fd) {
  const Io io = send_now(over.fd(), fd);
  if (io < 0) detail::throw_io(io, "send_descriptor");
}

int receive_descriptor(const Socket& over) {
  int fd = -1;
  const Io io = receive_now(over.fd(), fd);
  if (io < 0) detail::throw_io(io, "receive_descriptor");
  return fd;
}

Io SocketStream::try_send_descriptor(int descriptor) noexcept {
  if (refuses_write()) return refuse_write();
  if (is_simulated()) return -ENOTSUP;
  return noted_write(send_now(fd(), descriptor), 1);
}

Io SocketStream::try_receive_descriptor(int& descriptor) noexcept {
  descriptor = -1;
  if (timed_out()) return -ETIMEDOUT;
  if (is_simulated()) return -ENOTSUP;
  return noted_read(receive_now(fd(), descriptor), 1);
}

co::Task<> send_descriptor(SocketStream& over, int fd) {
  Io io = 0;
  do {
    co_await over.writable();
    io = over.try_send_descriptor(fd);
  } while (io == kWouldBlock);
  if (io < 0) detail::throw_io(io, "send_descriptor");
}

co::Task<int> receive_descriptor(SocketStream& over) {
  int fd = -1;
  Io io = 0;
  do {
    co_await over.readable();
    io = over.try_receive_descriptor(fd);
  } while (io == kWouldBlock);
  if (io < 0) detail::throw_io(io, "receive_descriptor");
  co_return fd;
}

}  // namespace event_cpp::net
