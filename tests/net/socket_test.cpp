// Sockets: options, errors, what is taken over, descriptors that are passed; and Bytes.
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include "net/carriers.hpp"
#include "support/forked.hpp"

namespace event_cpp::test {
namespace {

int option_of(const net::Socket& socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(socket.fd(), level, name, &value, &size), 0);
  return value;
}

class SocketTest : public testing::Test {
 protected:
  Base base;
};

TEST_F(SocketTest, DoesNotBlockAndIsClosedByExec) {
  std::vector<net::Socket> all;
  all.push_back(net::Socket::make(base, AF_INET, SOCK_STREAM));
  all.push_back(net::Socket::make(base, AF_INET, SOCK_DGRAM));
  auto pair = net::Socket::pair();
  all.push_back(std::move(pair.first));
  all.push_back(std::move(pair.second));
  std::array<int, 2> fds{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds.data()), 0);
  for (const int fd : fds) all.push_back(net::Socket::adopt(fd));
  for (const net::Socket& socket : all) {
    EXPECT_NE(::fcntl(socket.fd(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(socket.fd(), F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST_F(SocketTest, IsNeverOneOfTheStandardStreams) {
  EXPECT_TRUE(succeeds_in_child([&] {
    for (const int stream : {0, 1, 2}) ::close(stream);
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
      const net::Socket socket = net::Socket::make(base, AF_INET, type);
      EXPECT_GT(socket.fd(), 2);
      EXPECT_NE(::fcntl(socket.fd(), F_GETFL) & O_NONBLOCK, 0);
      EXPECT_NE(::fcntl(socket.fd(), F_GETFD) & FD_CLOEXEC, 0);
    }
  }));
}

TEST_F(SocketTest, IsClosedOnceByWhoOwnsIt) {
  auto [first, second] = net::Socket::pair();
  const int fd = first.fd();
  net::Socket moved = std::move(first);
  EXPECT_FALSE(first);
  EXPECT_EQ(moved.fd(), fd);
  net::Socket& same = moved;
  moved = std::move(same);
  EXPECT_EQ(moved.fd(), fd);
  const int other = second.fd();
  second = std::move(moved);
  EXPECT_LT(::fcntl(other, F_GETFD), 0);
  EXPECT_GE(::fcntl(fd, F_GETFD), 0);
  second.close();
  second.close();
  EXPECT_LT(::fcntl(fd, F_GETFD), 0);
  EXPECT_EQ(second.release(), -1);
}

TEST_F(SocketTest, RefusesToTakeOverWhatIsNoSocket) {
  const Fd file = regular_file();
  EXPECT_THROW(static_cast<void>(net::Socket::adopt(file.get())), std::system_error);
  EXPECT_GE(::fcntl(file.get(), F_GETFD), 0);
  EXPECT_THROW(static_cast<void>(net::Socket::adopt(-1)), std::system_error);
}

TEST_F(SocketTest, SetsItsOptions) {
  auto [socket, other] = connected_tcp();
  socket.set_no_delay(true);
  EXPECT_NE(option_of(socket, IPPROTO_TCP, TCP_NODELAY), 0);
  socket.set_no_delay(false);
  EXPECT_EQ(option_of(socket, IPPROTO_TCP, TCP_NODELAY), 0);
  socket.set_keep_alive(1500ms, 2s, 3);
  EXPECT_NE(option_of(socket, SOL_SOCKET, SO_KEEPALIVE), 0);
#ifdef TCP_KEEPIDLE
  EXPECT_EQ(option_of(socket, IPPROTO_TCP, TCP_KEEPIDLE), 2);
  socket.set_keep_alive(0s, std::chrono::hours::max(), 3);
  EXPECT_EQ(option_of(socket, IPPROTO_TCP, TCP_KEEPIDLE), 1);
  EXPECT_EQ(option_of(socket, IPPROTO_TCP, TCP_KEEPINTVL), 32767);
#endif
  socket.set_reuse_address(true);
  EXPECT_NE(option_of(socket, SOL_SOCKET, SO_REUSEADDR), 0);
  socket.set_send_buffer(100'000);
  EXPECT_GE(option_of(socket, SOL_SOCKET, SO_SNDBUF), 100'000);
  socket.set_receive_buffer(100'000);
  EXPECT_GE(option_of(socket, SOL_SOCKET, SO_RCVBUF), 100'000);
  EXPECT_EQ(socket.peer(), other.address());
  EXPECT_FALSE(socket.error());
}

TEST_F(SocketTest, ReportsWhatTheSystemRefuses) {
  net::Socket local = net::Socket::make(base, AF_UNIX, SOCK_STREAM);
  EXPECT_THROW(local.set_no_delay(true), std::system_error);
  EXPECT_THROW(static_cast<void>(local.peer()), std::system_error);
  net::Socket tcp = net::Socket::make(base, AF_INET, SOCK_STREAM);
  EXPECT_THROW(tcp.shutdown(SHUT_WR), std::system_error);
  EXPECT_THROW(static_cast<void>(local.connect(net::Address())), std::system_error);
  net::Socket none;
  EXPECT_EQ(none.error(), std::errc::bad_file_descriptor);
  EXPECT_THROW(none.bind(net::Address::loopback(0)), std::system_error);
  EXPECT_THROW(none.listen(1), std::system_error);
  EXPECT_THROW(static_cast<void>(none.address()), std::system_error);
}

TEST_F(SocketTest, ResetsAConnectionIfItIsToldTo) {
  auto [socket, other] = connected_tcp();
  socket.set_reset_on_close();
  socket.close();
  char byte = 0;
  EXPECT_LT(::recv(other.fd(), &byte, 1, 0), 0);
  EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(SocketTest, TellsWhoIsAtTheOtherEndOfAUnixSocket) {
  auto [socket, other] = net::Socket::pair();
  const net::PeerCredentials peer = socket.peer_credentials();
  EXPECT_EQ(peer.uid, ::geteuid());
  EXPECT_EQ(peer.gid, ::getegid());
#ifdef __linux__
  EXPECT_EQ(peer.pid, ::getpid());
#endif
}

TEST_F(SocketTest, PassesADescriptorThatIsClosedByExec) {
  auto [socket, other] = net::Socket::pair();
  const Pipe pipe = make_pipe();
  net::send_descriptor(socket, pipe.writer.get());
  const Fd received(net::receive_descriptor(other));
  EXPECT_NE(received.get(), pipe.writer.get());
  EXPECT_NE(::fcntl(received.get(), F_GETFD) & FD_CLOEXEC, 0);
  write_bytes(received);
  read_bytes(pipe.reader);
}

TEST_F(SocketTest, SaysThatNoDescriptorHasCome) {
  auto [socket, other] = net::Socket::pair();
  const auto code = [&receiver = other] {
    try {
      static_cast<void>(net::receive_descriptor(receiver));
    } catch (const std::system_error& error) {
      return error.code();
    }
    return std::error_code();
  };
  EXPECT_EQ(code(), std::errc::resource_unavailable_try_again);
  ASSERT_EQ(::send(socket.fd(), "x", 1, 0), 1);
  EXPECT_EQ(code(), std::errc::bad_message);
  socket.close();
  EXPECT_EQ(net::receive_descriptor(other), -1);
}

TEST_F(SocketTest, ClosesDescriptorsInExcess) {
  auto [socket, other] = net::Socket::pair();
  const Pipe pipe = make_pipe();
  const int next = ::dup(0);
  ::close(next);
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(3 * sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(3 * sizeof(int));
  const std::array<int, 3> fds{pipe.reader.get(), pipe.reader.get(), pipe.reader.get()};
  std::memcpy(CMSG_DATA(header), fds.data(), sizeof fds);
  ASSERT_EQ(::sendmsg(socket.fd(), &message, 0), 1);
  const Fd received(net::receive_descriptor(other));
  const int after = ::dup(0);
  ::close(after);
  EXPECT_EQ(after, next + 1);  // one is open, and no more
}

TEST_F(SocketTest, RaisesNoSignalWhenADescriptorIsPassedToNobody) {
  auto [socket, other] = net::Socket::pair();
  other.close();
  EXPECT_THROW(net::send_descriptor(socket, 0), std::system_error);
}

}  // namespace
}  // namespace event_cpp::test
