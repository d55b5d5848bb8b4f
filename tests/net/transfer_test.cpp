// copy(), send_file(), drain_and_close().
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "net/carriers.hpp"
#include "support/failing_call.hpp"
#include "support/forked.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

std::string numbered(std::size_t size) {
  std::string text;
  for (int i = 0; i < 10'000; ++i) text += std::to_string(i) + ' ';
  while (text.size() < size) text += text + 'x';  // it does not repeat where a buffer does
  text.resize(size);
  return text;
}

Task<> send_everything(net::Stream& to, const std::string& data) {
  co_await to.write(data);
  co_await to.shutdown();
}

Task<> copy_all(net::Stream& from, net::Stream& to, std::uint64_t& count) {
  count = co_await net::copy(from, to);
}

// A file without a name.
Fd file_with(const std::string& text) {
  Fd file = regular_file();
  EXPECT_EQ(::write(file.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return file;
}

// The streams of the fixture are one connection; `second` is another of the same kind.
class TransferTest : public EveryCarrier {
 protected:
  TransferTest() {
    if (is(Carrier::memory)) {
      second_memory_ = std::make_unique<net::Memory>(base, 5000);
      return;
    }
    auto sockets = is(Carrier::toy)   ? kernel.pair()
                   : is(Carrier::tcp) ? connected_tcp()
                                      : net::Socket::pair();
    c_ = std::make_unique<net::SocketStream>(base, std::move(sockets.first));
    d_ = std::make_unique<net::SocketStream>(base, std::move(sockets.second));
  }
  net::Stream& c() { return second_memory_ != nullptr ? second_memory_->a() : *c_; }
  net::Stream& d() { return second_memory_ != nullptr ? second_memory_->b() : *d_; }

 private:
  std::unique_ptr<net::Memory> second_memory_;
  std::unique_ptr<net::SocketStream> c_;
  std::unique_ptr<net::SocketStream> d_;
};
ON_EVERY_CARRIER(TransferTest);

TEST_P(TransferTest, CopiesEverythingAndTheEnd) {
  const std::string data = numbered(std::size_t{8} << 20);
  std::uint64_t count = 0;
  co::TaskGroup tasks(base);
  tasks.spawn([&] { return send_everything(a(), data); });
  tasks.spawn([&] { return copy_all(b(), c(), count); });
  EXPECT_TRUE(run(read_all(d())) == data);
  EXPECT_EQ(count, data.size());
}

TEST_P(TransferTest, CopiesAnEndWithoutAByte) {
  std::uint64_t count = 1;
  co::TaskGroup tasks(base);
  a().try_shutdown();
  tasks.spawn([&] { return copy_all(b(), c(), count); });
  EXPECT_EQ(run(read_all(d())), "");
  EXPECT_EQ(count, 0U);
}

TEST_P(TransferTest, IsTornIfACopyIsCancelledWithBytesOnTheirWay) {
  std::uint64_t count = 0;
  co::TaskGroup tasks(base);
  const std::string data = numbered(much());
  tasks.spawn([&] { return send_everything(a(), data); });
  tasks.spawn([&] { return copy_all(b(), c(), count); });
  for (int i = 0; i < 10; ++i) settle();
  tasks.cancel();
  settle();
  EXPECT_EQ(tasks.size(), 0U);
  EXPECT_EQ(net::to_error(c().try_write("x")), Errc::torn);
}

TEST_P(TransferTest, CopiesThroughNoneOfTheStandardStreams) {
  const std::string data = numbered(much());
  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    for (const int stream : {0, 1, 2}) ::close(stream);
    std::uint64_t count = 0;
    co::TaskGroup tasks(base);
    tasks.spawn([&] { return send_everything(a(), data); });
    tasks.spawn([&] { return copy_all(b(), c(), count); });
    for (int i = 0; i < 10; ++i) {
      settle();
      for (const int stream : {0, 1, 2}) {
        EXPECT_EQ(::fcntl(stream, F_GETFD), -1) << "descriptor " << stream << " is open";
      }
    }
    tasks.cancel();
    settle();
  }));
}

TEST_P(TransferTest, EndsACopyWhoseReaderHasGone) {
  std::uint64_t count = 0;
  std::error_code code;
  const std::string data = numbered(much());
  co::TaskGroup tasks(base);
  std::error_code sending;
  tasks.spawn([&]() -> Task<> { sending = co_await a().try_write_all(data); });
  tasks.spawn([&]() -> Task<> { code = co_await error_of(copy_all(b(), c(), count)); });
  for (int i = 0; i < 3; ++i) settle();
  d().close();
  run_until([&] { return static_cast<bool>(code); });
  EXPECT_TRUE(code == std::errc::broken_pipe || code == std::errc::connection_reset)
      << code.message();
  tasks.cancel();
}

TEST_P(TransferTest, KeepsAnAnswerWithAPeerThatStillSends) {
  std::string answer;
  co::TaskGroup tasks(base);
  // The peer reads only when it has sent everything.
  const std::string data = numbered(std::size_t{4} << 20);
  tasks.spawn([&]() -> Task<> {
    co_await a().write(data);
    answer = co_await read_all(a());
    a().close();
  });
  tasks.spawn([&]() -> Task<> {
    std::array<char, 10> room{};
    co_await b().read_exactly(room);
    co_await b().write("no, thanks");
    co_await net::drain_and_close(b(), 10s);
  });
  run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(answer, "no, thanks");
}

TEST_P(TransferTest, ClosesAStreamWhosePeerNeverDoes) {
  co::TaskGroup tasks(base);
  tasks.spawn(net::drain_and_close(b(), 10s));
  settle();
  time.advance(9s);
  settle();
  EXPECT_EQ(tasks.size(), 1U);
  time.advance(1s);
  settle();
  EXPECT_EQ(tasks.size(), 0U);
  EXPECT_EQ(net::to_error(b().try_write("x")), std::errc::bad_file_descriptor);
}

TEST_P(TransferTest, ClosesAStreamIfDrainingItIsCancelled) {
  co::TaskGroup tasks(base);
  tasks.spawn(net::drain_and_close(b(), 10s));
  settle();
  tasks.cancel();
  settle();
  EXPECT_EQ(tasks.size(), 0U);
  EXPECT_EQ(net::to_error(b().try_write("x")), std::errc::bad_file_descriptor);
}

Task<> send_part(net::SocketStream& to, int file, off_t from, std::uint64_t count,
                 std::uint64_t& sent) {
  sent = co_await to.send_file(file, from, count);
}

TEST_P(TransferTest, SendsAPartOfAFile) {
  auto* const to = dynamic_cast<net::SocketStream*>(&a());
  if (to == nullptr) GTEST_SKIP() << "not a socket";
  const std::string data = numbered(std::size_t{6} << 20);
  const Fd file = file_with(data);
  std::uint64_t sent = 0;
  std::string received;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    co_await send_part(*to, file.get(), 100, data.size() - 200, sent);
    co_await to->shutdown();
  });
  EXPECT_TRUE(run(read_all(b())) == data.substr(100, data.size() - 200));
  EXPECT_EQ(sent, data.size() - 200);
}

TEST_P(TransferTest, SendsLessIfTheFileEnds) {
  auto* const to = dynamic_cast<net::SocketStream*>(&a());
  if (to == nullptr) GTEST_SKIP() << "not a socket";
  const Fd file = file_with("short");
  std::uint64_t sent = 7;
  run(send_part(*to, file.get(), 2, 1000, sent));
  EXPECT_EQ(sent, 3U);
  run(send_part(*to, file.get(), 1000, 1000, sent));
  EXPECT_EQ(sent, 0U);
  EXPECT_EQ(to->try_write("x"), 1);  // not torn
}

TEST_P(TransferTest, IsTornIfSendingAFileIsCancelledHalfWay) {
  auto* const to = dynamic_cast<net::SocketStream*>(&a());
  if (to == nullptr) GTEST_SKIP() << "not a socket";
  const Fd file = file_with(numbered(much()));
  std::uint64_t sent = 0;
  co::TaskGroup tasks(base);
  tasks.spawn([&] { return send_part(*to, file.get(), 0, much(), sent); });
  settle();
  tasks.cancel();
  settle();
  EXPECT_EQ(net::to_error(a().try_write("x")), Errc::torn);
}

TEST_P(TransferTest, RaisesNoSignalForAFileOrAPipeIfThePeerIsGone) {
  auto* const to = dynamic_cast<net::SocketStream*>(&a());
  if (to == nullptr) GTEST_SKIP() << "not a socket";
  const Fd file = file_with(numbered(1000));
  const Pipe pipe = make_pipe();
  b().close();
  settle();
  for (int i = 0; i < 20; ++i) {
    off_t from = 0;
    static_cast<void>(to->try_send_file(file.get(), from, 1000));
    write_bytes(pipe.writer);
    if (to->can_splice()) static_cast<void>(to->try_splice_from(pipe.reader.get(), 1));
    settle();
  }
  off_t from = 0;
  const std::error_code code = net::to_error(to->try_send_file(file.get(), from, 1000));
  EXPECT_TRUE(code == std::errc::broken_pipe || code == std::errc::connection_reset);
}

#if EVENT_HAVE_EPOLL
// Where the call is missing, or refused to a sandbox.
TEST_P(TransferTest, CopiesAndSendsFilesWithoutTheCallsForIt) {
  if (!is_socket()) GTEST_SKIP() << "not a socket";
  const std::string data = numbered(1 << 20);
  for (const int error : {ENOSYS, EINVAL}) {
    auto in = net::Socket::pair();
    auto out = net::Socket::pair();
    net::SocketStream from(base, std::move(in.first));
    net::SocketStream middle(base, std::move(in.second));
    net::SocketStream onwards(base, std::move(out.first));
    net::SocketStream to(base, std::move(out.second));
    const FailingCall failing(Call::splice, error, 1, kAlways);
    std::uint64_t count = 0;
    co::TaskGroup tasks(base);
    tasks.spawn(send_everything(from, data));
    tasks.spawn(copy_all(middle, onwards, count));
    EXPECT_TRUE(run(read_all(to)) == data);
    EXPECT_EQ(count, data.size());
    EXPECT_GT(failing.failures(), 0U);
  }
}
#endif

}  // namespace
}  // namespace event_cpp::test
