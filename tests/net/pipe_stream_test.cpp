// PipeStream: pipes and terminals as streams.
#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "co/support.hpp"
#include "net/support.hpp"
#include "support/signals.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using net::PipeStream;

class PipeStreamTest : public EveryBackendCo {
 protected:
  void SetUp() override {
    if (GetParam() == Backend::none) GTEST_SKIP() << "no descriptors";
    base = std::make_unique<Base>(options());
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    reader = std::make_unique<PipeStream>(*base, ends[0]);
    writer = std::make_unique<PipeStream>(*base, ends[1]);
  }
  void settle() {
    for (int i = 0; i < 20; ++i) base->loop(RunMode::nonblock);
  }
  template <class F>
  void run_until(F done) {
    const Bounded bounded(*base);
    for (int i = 0; !done() && i < 1'000'000; ++i) base->loop(RunMode::nonblock);
    EXPECT_TRUE(done());
  }

  ManualTime time{ManualTime::Mode::advance_only};
  Options options() {
    Options chosen = EveryBackendCo::options();
    chosen.time = &time;
    return chosen;
  }
  std::unique_ptr<Base> base;
  std::unique_ptr<PipeStream> reader;
  std::unique_ptr<PipeStream> writer;
};

BACKEND_TEST(PipeStreamTest, CarriesBytesAndTheEnd) {
  const std::string data(3'000'000, 'x');
  co::TaskGroup tasks(*base);
  tasks.spawn([&]() -> Task<> {
    co_await writer->write(data);
    co_await writer->shutdown();
  });
  EXPECT_TRUE(run_task(*base, read_all(*reader)) == data);
  EXPECT_EQ(writer->fd(), -1);
  // The end stays.
  EXPECT_EQ(run_task(*base, read_all(*reader)), "");
}

BACKEND_TEST(PipeStreamTest, MakesDescriptorsNonBlockingAndCloseOnExec) {
  for (const int fd : {reader->fd(), writer->fd()}) {
    EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  }
}

BACKEND_TEST(PipeStreamTest, WritesPiecesInTheirOrder) {
  std::vector<std::string> texts;
  std::vector<net::Bytes> pieces;
  std::string all;
  for (int i = 0; i < 200; ++i) texts.push_back(std::to_string(i));
  for (const std::string& text : texts) {
    pieces.emplace_back(text);
    all += text;
  }
  co::TaskGroup tasks(*base);
  tasks.spawn([&]() -> Task<> {
    co_await writer->write(std::span<const net::Bytes>(pieces));
    writer->close();
  });
  EXPECT_EQ(run_task(*base, read_all(*reader)), all);
}

BACKEND_TEST(PipeStreamTest, ReportsThatNobodyReadsWithoutASignal) {
  const Disposition counted(SIGPIPE, &count_stray);
  strays = 0;
  reader.reset();
  EXPECT_EQ(writer->try_write("x"), -EPIPE);
  std::error_code code;
  co::TaskGroup tasks(*base);
  tasks.spawn([&]() -> Task<> { code = co_await writer->try_write_all("x"); });
  settle();
  EXPECT_EQ(code, std::errc::broken_pipe);
  EXPECT_EQ(strays, 0);
  // One that was pending and blocked before is not taken.
  const Blocked blocked(SIGPIPE);
  ::raise(SIGPIPE);
  EXPECT_EQ(writer->try_write("x"), -EPIPE);
  sigset_t pending;
  ::sigpending(&pending);
  EXPECT_EQ(::sigismember(&pending, SIGPIPE), 1);
}

BACKEND_TEST(PipeStreamTest, TellsAWriterThatWaitsThatNobodyReadsAnyMore) {
  const Disposition counted(SIGPIPE, &count_stray);
  strays = 0;
  std::error_code code;
  const std::string data(1'000'000, 'x');
  co::TaskGroup tasks(*base);
  tasks.spawn([&]() -> Task<> { code = co_await writer->try_write_all(data); });
  settle();
  EXPECT_EQ(tasks.size(), 1U);
  reader.reset();
  run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(code, std::errc::broken_pipe);
  EXPECT_EQ(strays, 0);
}

BACKEND_TEST(PipeStreamTest, GoesInOneDirection) {
  std::array<char, 4> room{};
  EXPECT_EQ(writer->try_read(room), -EBADF);
  EXPECT_EQ(reader->try_write("x"), -EBADF);
  EXPECT_EQ(reader->try_read(room), net::kWouldBlock);
}

BACKEND_TEST(PipeStreamTest, CallsBackWhenThereIsSomething) {
  std::string text;
  bool ended = false;
  reader->on_readable([&] {
    std::array<char, 3> room{};
    const net::Io io = reader->try_read(room);
    if (io > 0) text.append(room.data(), static_cast<std::size_t>(io));
    if (io == 0) {
      ended = true;
      reader->on_readable(nullptr);
    }
  });
  EXPECT_EQ(writer->try_write("abcdefgh"), 8);
  settle();
  EXPECT_EQ(text, "abcdefgh");
  EXPECT_FALSE(ended);
  writer->close();
  settle();
  EXPECT_TRUE(ended);
}

// Each read gives a part, though more is there.

BACKEND_TEST(PipeStreamTest, ReadsEveryLineOfATerminal) {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  PipeStream typed(*base, terminal);
  ASSERT_EQ(::grantpt(terminal), 0);
  ASSERT_EQ(::unlockpt(terminal), 0);
  PipeStream lines(*base, ::open(::ptsname(terminal), O_RDWR | O_NOCTTY));
  EXPECT_EQ(typed.try_write("one\ntwo\nthree\n"), 14);
  settle();
  net::Buffered io(lines);
  const auto read = [](net::Buffered& from) -> Task<std::string> {
    const auto line = co_await from.read_line();
    co_return std::string(line.value_or("none"));
  };
  for (const std::string expected : {"one", "two", "three"}) {
    EXPECT_EQ(run_task(*base, read(io)), expected);
  }
}

BACKEND_TEST(PipeStreamTest, ReadsAFileToItsEnd) {
  std::FILE* const file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  std::fputs("hello", file);
  std::rewind(file);
  PipeStream stream(*base, ::dup(::fileno(file)));
  std::fclose(file);
  EXPECT_EQ(run_task(*base, read_all(stream)), "hello");
  PipeStream nothing(*base, ::open("/dev/null", O_RDWR));
  EXPECT_EQ(run_task(*base, read_all(nothing)), "");
}

#if defined(__linux__) && defined(O_DIRECT)
BACKEND_TEST(PipeStreamTest, ReadsEveryPacketOfAPipe) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_DIRECT), 0);
  PipeStream packets(*base, ends[0]);
  PipeStream sender(*base, ends[1]);
  for (const char* const packet : {"one", "two", "three"}) EXPECT_GT(sender.try_write(packet), 0);
  sender.close();
  EXPECT_EQ(run_task(*base, read_all(packets)), "onetwothree");
}
#endif

BACKEND_TEST(PipeStreamTest, HasAnIdleTimeout) {
  reader->idle_timeout(10s);
  std::error_code code;
  co::TaskGroup tasks(*base);
  tasks.spawn([&]() -> Task<> {
    const auto first = co_await reader->try_receive();
    EXPECT_EQ(first.value.text(), "x");
    const auto second = co_await reader->try_receive();
    code = second.error;
  });
  settle();
  time.advance(9s);
  settle();
  EXPECT_EQ(writer->try_write("x"), 1);
  settle();
  time.advance(9s);
  settle();
  EXPECT_FALSE(code);
  time.advance(1s);
  settle();
  EXPECT_EQ(code, std::errc::timed_out);
}

BACKEND_TEST(PipeStreamTest, IsTornIfAWriteIsCancelledHalfWay) {
  const std::string data(1'000'000, 'x');
  co::TaskGroup tasks(*base);
  tasks.spawn([&]() -> Task<> { co_await writer->write(data); });
  settle();
  tasks.cancel();
  settle();
  EXPECT_EQ(net::to_error(writer->try_write("x")), Errc::torn);
}

BACKEND_TEST(PipeStreamTest, EndsTheWaitOfATaskWhenItIsDestroyed) {
  std::error_code code;
  co::TaskGroup tasks(*base);
  tasks.spawn([&]() -> Task<> {
    const auto chunk = co_await reader->try_receive();
    code = chunk.error;
  });
  settle();
  reader.reset();
  settle();
  EXPECT_EQ(code, std::errc::operation_canceled);
}

BACKEND_TEST(PipeStreamTest, EndsTheWaitOfAWriterWhenItIsShutDown) {
  const std::string data(1'000'000, 'x');
  std::error_code code;
  co::TaskGroup tasks(*base);
  tasks.spawn([&]() -> Task<> { code = co_await writer->try_write_all(data); });
  settle();
  EXPECT_EQ(writer->try_shutdown(), 0);
  settle();
  EXPECT_EQ(code, std::errc::operation_canceled);
}

BACKEND_TEST(PipeStreamTest, CallsNoMoreOnceItIsShutDown) {
  const auto kept = std::make_shared<int>();
  int calls = 0;
  writer->on_writable([&, kept] {
    ++calls;
    EXPECT_EQ(writer->try_write("x"), 1);
    EXPECT_EQ(writer->try_shutdown(), 0);
    EXPECT_GT(kept.use_count(), 1);
  });
  settle();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(kept.use_count(), 1);
  EXPECT_EQ(run_task(*base, read_all(*reader)), "x");
}

BACKEND_TEST(PipeStreamTest, IsDestroyedWithACallbackThatOwnsItWhenItIsClosed) {
  std::shared_ptr<PipeStream> reads = std::move(reader);
  std::shared_ptr<PipeStream> writes = std::move(writer);
  const std::weak_ptr<PipeStream> reads_still = reads;
  const std::weak_ptr<PipeStream> writes_still = writes;
  PipeStream& closed = *reads;
  PipeStream& shut_down = *writes;
  closed.on_writable([] {});
  closed.on_readable([kept = std::move(reads)] {});
  shut_down.on_readable([] {});
  shut_down.on_writable([kept = std::move(writes)] {});
  settle();
  closed.close();
  EXPECT_TRUE(reads_still.expired());
  EXPECT_EQ(shut_down.try_shutdown(), 0);
  EXPECT_TRUE(writes_still.expired());
  settle();
}

BACKEND_TEST(PipeStreamTest, KeepsNoCallbackOnceItIsShutDown) {
  const auto kept = std::make_shared<int>();
  int calls = 0;
  writer->on_writable([&, kept] { ++calls; });
  EXPECT_EQ(writer->try_shutdown(), 0);
  EXPECT_EQ(kept.use_count(), 1);
  writer->on_writable([&, kept] { ++calls; });
  writer->on_readable([&, kept] { ++calls; });
  settle();
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(kept.use_count(), 1);
}

// Also when the turn of the task is over, and it waits to shut down.
BACKEND_TEST(PipeStreamTest, IsShutDownByATaskHoweverMuchItHasDoneBefore) {
  for (int writes = 0; writes < 20; ++writes) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    PipeStream from(*base, ends[0]);
    PipeStream to(*base, ends[1]);
    bool is_shut = false;
    bool goes_on = false;
    co::TaskGroup tasks(*base);
    tasks.spawn([&]() -> Task<> {
      for (int i = 0; i < writes; ++i) co_await to.write("x");
      co_await to.shutdown();
      is_shut = true;
      co_await co::sleep(1h);
      goes_on = true;
    });
    EXPECT_EQ(run_task(*base, read_all(from)).size(), static_cast<std::size_t>(writes));
    settle();
    EXPECT_TRUE(is_shut) << writes;
    EXPECT_FALSE(goes_on) << writes;  // it was resumed once
    time.advance(1h);
    settle();
    EXPECT_TRUE(goes_on) << writes;
  }
}

BACKEND_TEST(PipeStreamTest, RefusesWhatIsNotOpen) {
  for (const int fd : {-1, -2, std::numeric_limits<int>::min(), 900}) {
    try {
      const PipeStream opened(*base, fd);
      ADD_FAILURE() << fd;
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::bad_file_descriptor) << fd;
    }
  }
}

BACKEND_TEST(PipeStreamTest, IsCopiedToASocket) {
  auto sockets = net::Socket::pair();
  net::SocketStream to(*base, std::move(sockets.first));
  net::SocketStream from(*base, std::move(sockets.second));
  const std::string data(500'000, 'y');
  co::TaskGroup tasks(*base);
  tasks.spawn([&]() -> Task<> {
    co_await writer->write(data);
    writer->close();
  });
  tasks.spawn([&]() -> Task<> { co_await net::copy(*reader, to); });
  EXPECT_TRUE(run_task(*base, read_all(from)) == data);
}

}  // namespace
}  // namespace event_cpp::test
