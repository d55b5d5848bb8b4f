// Descriptors that are passed over the stream of a Unix socket.
#include "support/descriptors.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <system_error>

#include "net/support.hpp"
#include "net/toy_kernel.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

struct Peers {
  net::SocketStream a;
  net::SocketStream b;

  explicit Peers(Base& base, std::pair<net::Socket, net::Socket> pair = net::Socket::pair())
      : a(base, std::move(pair.first)), b(base, std::move(pair.second)) {}
};

class DescriptorsTest : public EveryBackendCo {
 protected:
  void SetUp() override {
    if (GetParam() == Backend::none) GTEST_SKIP() << "no descriptors";
  }

  static Task<> receive_into(net::SocketStream& from, std::optional<int>& fd) {
    const int received = co_await net::receive_descriptor(from);
    fd = received;
  }
  static Task<> receive_one(net::SocketStream& from) {
    const Fd received(co_await net::receive_descriptor(from));
  }
  static void settle(Base& base) {
    for (int i = 0; i < 20; ++i) base.loop(RunMode::nonblock);
  }
};

BACKEND_TEST(DescriptorsTest, AreWaitedForWithoutSpinning) {
  Base base(options());
  Peers ends(base);
  co::TaskGroup tasks(base);
  std::optional<int> received;
  // What was there before, and is gone, is no reason to try.
  ASSERT_EQ(ends.a.try_write("x"), 1);
  char byte = 0;
  settle(base);
  ASSERT_EQ(ends.b.try_read({&byte, 1}), 1);
  tasks.spawn(receive_into(ends.b, received));
  settle(base);
  const std::uint64_t before = base.stats().callbacks[1];
  settle(base);
  EXPECT_EQ(base.stats().callbacks[1], before);
  EXPECT_FALSE(received);
  const Pipe pipe = make_pipe();
  run_task(base, net::send_descriptor(ends.a, pipe.writer.get()));
  settle(base);
  ASSERT_TRUE(received);
  const Fd writer(*received);
  EXPECT_NE(writer.get(), pipe.writer.get());
  EXPECT_NE(::fcntl(writer.get(), F_GETFD) & FD_CLOEXEC, 0);
  write_bytes(writer);
  read_bytes(pipe.reader);
}

BACKEND_TEST(DescriptorsTest, WaitUntilTheSocketTakesThem) {
  Base base(options());
  Peers ends(base);
  const std::string much(1'000'000, 'x');
  std::size_t sent = 0;
  for (net::Io io = 0; (io = ends.a.try_write(much)) > 0;) sent += static_cast<std::size_t>(io);
  co::TaskGroup tasks(base);
  const Pipe pipe = make_pipe();
  tasks.spawn(net::send_descriptor(ends.a, pipe.writer.get()));
  settle(base);
  const std::uint64_t before = base.stats().callbacks[1];
  settle(base);
  EXPECT_EQ(base.stats().callbacks[1], before);
  EXPECT_EQ(tasks.size(), 1U);
  std::string all(sent, ' ');
  run_task(base, [](net::SocketStream& from, std::string& room) -> Task<> {
    co_await from.read_exactly(room);
  }(ends.b, all));
  run_task(base, receive_one(ends.b));
  EXPECT_EQ(tasks.size(), 0U);
}

BACKEND_TEST(DescriptorsTest, EndWithTheConnection) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Peers ends(base);
  std::optional<int> received;
  ends.a.close();
  run_task(base, receive_into(ends.b, received));
  EXPECT_EQ(received, -1);
  EXPECT_EQ(run_task(base, error_of(net::send_descriptor(ends.b, pipe.reader.get()))),
            std::errc::broken_pipe);
}

BACKEND_TEST(DescriptorsTest, SayThatAByteHasNone) {
  Base base(options());
  Peers ends(base);
  ASSERT_EQ(ends.a.try_write("x"), 1);
  EXPECT_EQ(run_task(base, error_of(receive_one(ends.b))), std::errc::bad_message);
  EXPECT_EQ(run_task(base, error_of(net::send_descriptor(ends.a, -1))),
            std::errc::bad_file_descriptor);
}

BACKEND_TEST(DescriptorsTest, AreRefusedByASocketThatIsNoUnixSocket) {
  Base base(options());
  const Sockets tcp = tcp_pair();
  const Pipe pipe = make_pipe();
  Peers ends(base, {net::Socket::adopt(::dup(tcp.ours.get())),
                    net::Socket::adopt(::dup(tcp.theirs.get()))});
  EXPECT_EQ(run_task(base, error_of(net::send_descriptor(ends.a, pipe.reader.get()))),
            std::errc::invalid_argument);
  ends.a.with_socket([&](const net::Socket& socket) {
    EXPECT_THROW(net::send_descriptor(socket, pipe.reader.get()), std::system_error);
  });
  char byte = 0;
  EXPECT_EQ(ends.b.try_read({&byte, 1}), net::kWouldBlock);
}

// The kernel drops what it cannot give.
BACKEND_TEST(DescriptorsTest, SayThatThereMayBeNoMore) {
  Base base(options());
  Peers ends(base);
  run_task(base, net::send_descriptor(ends.a, STDERR_FILENO));
  settle(base);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{3, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  int fd = 0;
  const net::Io io = ends.b.try_receive_descriptor(fd);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(io, -EMFILE);
  EXPECT_EQ(fd, -1);
}

BACKEND_TEST(DescriptorsTest, AreNotLostByWhoIsCancelled) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Peers ends(base);
  std::optional<int> received;
  {
    co::TaskGroup tasks(base);
    tasks.spawn(receive_into(ends.b, received));
    settle(base);
    tasks.cancel();
    run_task(base, net::send_descriptor(ends.a, pipe.reader.get()));
    settle(base);
    EXPECT_FALSE(received);
  }
  run_task(base, receive_into(ends.b, received));
  ASSERT_TRUE(received);
  const Fd owned(*received);
  EXPECT_GE(owned.get(), 0);
}

BACKEND_TEST(DescriptorsTest, AreNotSentOverATornStream) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Peers ends(base);
  ends.a.tear();
  EXPECT_EQ(run_task(base, error_of(net::send_descriptor(ends.a, pipe.reader.get()))), Errc::torn);
}

// A message without data is taken for the end, and what came with it is closed.
BACKEND_TEST(DescriptorsTest, AreNotLeakedByAMessageWithoutData) {
  Base base(options());
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()), 0);
  const Fd sender(ends[0]);
  net::SocketStream stream(base, net::Socket::adopt(ends[1]));
  const Pipe pipe = make_pipe();
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = pipe.reader.get();
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  ASSERT_EQ(::sendmsg(sender.get(), &message, 0), 0);
  const auto before = open_descriptors();
  std::optional<int> received;
  run_task(base, receive_into(stream, received));
  EXPECT_EQ(received, -1);
  EXPECT_EQ(open_descriptors(), before);
}

TEST(ToyDescriptorsTest, CannotBePassed) {
  ManualTime time;
  Options options;
  options.backend = Backend::none;
  options.time = &time;
  ToyKernel kernel;
  Base base(options);
  net::set_kernel(base, &kernel);
  Peers ends(base, kernel.pair());
  int fd = 0;
  EXPECT_EQ(ends.a.try_send_descriptor(0), -ENOTSUP);
  EXPECT_EQ(ends.b.try_receive_descriptor(fd), -ENOTSUP);
  EXPECT_EQ(fd, -1);
}

}  // namespace
}  // namespace event_cpp::test
