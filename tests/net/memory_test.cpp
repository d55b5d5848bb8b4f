// Memory: connections without a network, and what tests make of them.
#include <array>

#include "net/frozen_base.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

class MemoryTest : public testing::Test, protected FrozenBase {
 protected:
  std::string read(net::Stream& from) {
    std::array<char, 100> room{};
    const net::Io io = from.try_read(room);
    if (io == net::kWouldBlock) return "(nothing)";
    if (io < 0) return "(error)";
    return io == 0 ? "(end)" : std::string(room.data(), static_cast<std::size_t>(io));
  }
};

TEST_F(MemoryTest, TakesNoMoreThanItHasRoomFor) {
  net::Memory memory(base, 7);
  EXPECT_EQ(memory.a().try_write("0123456789"), 7);
  EXPECT_EQ(memory.a().try_write("x"), net::kWouldBlock);
  EXPECT_EQ(memory.b().try_write("other way"), 7);
  EXPECT_EQ(read(memory.b()), "0123456");
  EXPECT_EQ(memory.a().try_write("x"), 1);
}

TEST_F(MemoryTest, MovesNoMoreThanItIsToldInACall) {
  net::Memory memory(base);
  memory.at_most(3);
  EXPECT_EQ(memory.a().try_write("01234"), 3);
  EXPECT_EQ(memory.a().try_write("34"), 2);
  EXPECT_EQ(read(memory.b()), "012");
  EXPECT_EQ(read(memory.b()), "34");
}

TEST_F(MemoryTest, DeliversAfterADelayAndTheEndAsWell) {
  net::Memory memory(base);
  memory.delay(5s);
  EXPECT_EQ(memory.a().try_write("abc"), 3);
  time.advance(2s);
  EXPECT_EQ(memory.a().try_write("def"), 3);
  memory.a().try_shutdown();
  settle();
  EXPECT_EQ(read(memory.b()), "(nothing)");
  time.advance(3s);
  settle();
  EXPECT_EQ(read(memory.b()), "abc");
  EXPECT_EQ(read(memory.b()), "(nothing)");
  time.advance(2s);
  settle();
  EXPECT_EQ(read(memory.b()), "def");
  EXPECT_EQ(read(memory.b()), "(end)");
}

TEST_F(MemoryTest, DeliversNothingAfterADelayWithoutAnEnd) {
  net::Memory memory(base);
  memory.delay(Duration::max());
  EXPECT_EQ(memory.a().try_write("abc"), 3);
  EXPECT_EQ(memory.a().try_shutdown(), 0);
  time.advance(std::chrono::hours(24 * 365));
  settle();
  EXPECT_EQ(read(memory.b()), "(nothing)");
}

TEST_F(MemoryTest, DeliversAtOnceAfterANegativeDelay) {
  net::Memory memory(base);
  memory.delay(Duration::min());
  EXPECT_EQ(memory.a().try_write("abc"), 3);
  EXPECT_EQ(memory.a().try_shutdown(), 0);
  EXPECT_EQ(read(memory.b()), "abc");
  EXPECT_EQ(read(memory.b()), "(end)");
}

TEST_F(MemoryTest, KeepsTheOrderWhenTheDelayChanges) {
  net::Memory memory(base);
  memory.delay(5s);
  EXPECT_EQ(memory.a().try_write("abc"), 3);
  memory.delay(0s);
  EXPECT_EQ(memory.a().try_write("def"), 3);
  EXPECT_EQ(read(memory.b()), "(nothing)");
  memory.a().try_shutdown();
  EXPECT_EQ(read(memory.b()), "(nothing)");
  time.advance(5s);
  settle();
  EXPECT_EQ(read(memory.b()), "abcdef");
  EXPECT_EQ(read(memory.b()), "(end)");
}

TEST_F(MemoryTest, BreaksAfterSoManyBytes) {
  net::Memory memory(base);
  memory.break_after(5, std::make_error_code(std::errc::connection_reset));
  EXPECT_EQ(memory.a().try_write("abc"), 3);
  EXPECT_EQ(memory.b().try_write("defg"), 2);
  const auto reset = std::errc::connection_reset;
  EXPECT_EQ(net::to_error(memory.a().try_write("x")), reset);
  EXPECT_EQ(net::to_error(memory.b().try_write("x")), reset);
  EXPECT_EQ(read(memory.b()), "abc");
  EXPECT_EQ(read(memory.b()), "(error)");
  EXPECT_EQ(read(memory.a()), "de");
  EXPECT_EQ(read(memory.a()), "(error)");
}

TEST_F(MemoryTest, StaysBroken) {
  net::Memory memory(base);
  memory.break_after(0, std::make_error_code(std::errc::connection_reset));
  memory.break_after(5, Errc::truncated);
  EXPECT_EQ(net::to_error(memory.a().try_write("x")), std::errc::connection_reset);
  EXPECT_EQ(read(memory.b()), "(error)");
}

TEST_F(MemoryTest, WakesWhoWaitsWhenItBreaks) {
  net::Memory memory(base);
  std::error_code code;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    const auto chunk = co_await memory.a().try_receive();
    code = chunk.error;
  });
  settle();
  memory.break_after(0, Errc::truncated);
  settle();
  EXPECT_EQ(code, Errc::truncated);
}

TEST_F(MemoryTest, ShowsTasksThatWaitForEachOther) {
  net::Memory memory(base, 7);
  co::TaskGroup tasks(base);
  for (net::Stream* stream : {&memory.a(), &memory.b()}) {
    tasks.spawn([stream]() -> Task<> {
      co_await stream->write("longer than seven bytes");
      const net::Chunk none = co_await stream->receive();
    });
  }
  base.dispatch();
  EXPECT_EQ(tasks.size(), 2U);
}

TEST_F(MemoryTest, MayBeDestroyedWhileBothEndsAreUsed) {
  auto memory = std::make_unique<net::Memory>(base, 7);
  int ended = 0;
  co::TaskGroup tasks(base);
  for (net::Stream* stream : {&memory->a(), &memory->b()}) {
    tasks.spawn([stream, &ended]() -> Task<> {
      const std::error_code code = co_await stream->try_write_all("longer than seven bytes");
      EXPECT_EQ(code, std::errc::operation_canceled);
      ++ended;
    });
  }
  settle();
  memory.reset();
  settle();
  EXPECT_EQ(ended, 2);
}

TEST_F(MemoryTest, TellsAWriterThatTheReaderHasClosed) {
  net::Memory memory(base, 7);
  std::error_code code;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> { code = co_await memory.a().try_write_all("0123456789"); });
  settle();
  memory.b().close();
  settle();
  EXPECT_EQ(code, std::errc::broken_pipe);
}

}  // namespace
}  // namespace event_cpp::test
