#include "event/net/datagram.hpp"

#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "event/net/detail/send_flags.hpp"
#include "net/bind.hpp"
#include "net/callback_waiter.hpp"

namespace event_cpp::net {
namespace {

Socket make_bound(Base& base, const Address& address) {
  Socket socket = Socket::make(base, address.family(), SOCK_DGRAM);
  if (address.family() == AF_INET6) socket.set_ipv6_only(false);
  detail::bind_anew(socket, address, SOCK_DGRAM);
  return socket;
}

}  // namespace

Datagram::Datagram(Base& base, const Address& address)
    : SocketEvent(base, make_bound(base, address)) {
  if (!is_simulated()) path_ = detail::BoundPath(address);
}

Datagram::~Datagram() { path_.remove(); }

Io Datagram::try_receive(Packet& packet) noexcept {
  char* buffer = nullptr;
  try {
    buffer = detail::take_buffer();
  } catch (const std::bad_alloc&) {
    return -ENOMEM;
  }
  sockaddr_storage from{};
  iovec part{buffer, detail::kBufferSize};
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const Io io = detail::call_recvmsg(Event::base(), fd(), &message, MSG_DONTWAIT);
  // A message says nothing of whether there is another one, and an error is of one message alone.
  if (io >= 0) note_read(static_cast<std::size_t>(io), 0);
  if (io < 0) {
    detail::give_back_buffer(buffer);
    if (io != kWouldBlock) return io;
    if (has_ended()) return -ESHUTDOWN;  // Linux says that it would block, and that it is readable
    note_blocked(Want::read);
    return io;
  }
  packet.bytes = Chunk(buffer, static_cast<std::size_t>(io));
  packet.truncated = (message.msg_flags & MSG_TRUNC) != 0;
  packet.from =
      Address::from(reinterpret_cast<sockaddr*>(&from), message.msg_namelen).value_or(Address());
  return 0;
}

Io Datagram::try_send(Bytes bytes, const Address& to) noexcept {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  if (to.size() > 0) {
    message.msg_name = const_cast<sockaddr*>(to.data());
    message.msg_namelen = to.size();
  }
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const Io io = detail::call_sendmsg(Event::base(), fd(), &message, detail::kSendFlags);
  if (io >= 0) note_write(static_cast<std::size_t>(io), 0);
  if (io == kWouldBlock) note_blocked(Want::write);
  return io < 0 ? io : 0;
}

void Datagram::on_readable(std::function<void()> f) {
  detail::set_callback(*this, Want::read, std::move(f));
}

}  // namespace event_cpp::net
