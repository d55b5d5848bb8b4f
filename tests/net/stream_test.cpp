// Streams, whatever carries them: what each operation does, and what ends it.
#include <fcntl.h>
#include <poll.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "net/carriers.hpp"
#include "support/failing_call.hpp"
#include "support/failing_new.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    text[i] = static_cast<char>('a' + i * 7 % 26 + i / 4096 % 2);
  return text;
}

// Collects how tasks end.
struct Ends {
  std::vector<std::error_code> codes;
  bool is_only(std::errc code) const { return codes.size() == 1 && codes.front() == code; }
};

Task<> read_until_error(net::Stream& stream, Ends& ends) {
  std::array<char, 4096> room{};
  for (;;) {
    const auto got = co_await stream.try_read_some(room);
    if (got && got.value > 0) continue;
    ends.codes.push_back(got.error);
    co_return;
  }
}

Task<> write_for_ever(net::Stream& stream, Ends& ends) {
  const std::string part(100'000, 'w');
  for (;;) {
    const std::error_code error = co_await stream.try_write_all(part);
    if (!error) continue;
    ends.codes.push_back(error);
    co_return;
  }
}

class StreamTest : public EveryCarrier {
 protected:
  // Writes with a task until it waits for the peer.
  void write_until_blocked(co::TaskGroup& group, net::Stream& stream, Ends& ends) {
    group.spawn([&stream, &ends] { return write_for_ever(stream, ends); });
    settle();
  }
};
ON_EVERY_CARRIER(StreamTest);

Task<> read_in_each_way(net::Stream& from, net::Stream& to) {
  std::array<char, 4> room{};
  co_await to.write("abc");
  const std::size_t some = co_await from.read_some(room);
  EXPECT_EQ(std::string_view(room.data(), some), "abc");

  co_await to.write("de");
  const auto tried = co_await from.try_read_some(room);
  EXPECT_FALSE(tried.error);
  EXPECT_EQ(std::string_view(room.data(), tried.value), "de");

  co_await to.write("fghij");
  const std::size_t exactly = co_await from.read_exactly(room);
  EXPECT_EQ(std::string_view(room.data(), exactly), "fghi");

  co_await to.write("klm");
  const auto tried_exactly = co_await from.try_read_exactly(room);
  EXPECT_FALSE(tried_exactly.error);
  EXPECT_EQ(std::string_view(room.data(), tried_exactly.value), "jklm");

  co_await to.write("no");
  const net::Chunk chunk = co_await from.receive();
  EXPECT_EQ(chunk.text(), "no");

  const std::error_code written = co_await to.try_write_all("pq");
  EXPECT_FALSE(written);
  const auto tried_chunk = co_await from.try_receive();
  EXPECT_EQ(tried_chunk.value.text(), "pq");

  const std::array<net::Bytes, 4> pieces{"r", "", "st", "u"};
  co_await to.write(pieces);
  const std::size_t pieced = co_await from.read_exactly(room);
  EXPECT_EQ(std::string_view(room.data(), pieced), "rstu");

  const std::error_code tried_pieces = co_await to.try_write_all(pieces);
  EXPECT_FALSE(tried_pieces);
  co_await from.readable();
  const std::size_t again = co_await from.read_exactly(room);
  EXPECT_EQ(std::string_view(room.data(), again), "rstu");
  co_await to.writable();
}

TEST_P(StreamTest, ReadsInEachWayWhatWasWrittenInEachWay) {
  run(read_in_each_way(a(), b()));
  run(read_in_each_way(b(), a()));
}

Task<> read_past_the_end(net::Stream& from, net::Stream& to) {
  std::array<char, 4> room{};
  co_await to.write("ab");
  co_await to.shutdown();
  const auto truncated = co_await from.try_read_exactly(room);
  EXPECT_EQ(truncated.error, Errc::truncated);
  EXPECT_EQ(truncated.value, 2U);
  for (int i = 0; i < 20; ++i) {
    const std::size_t size = co_await from.read_some(room);
    EXPECT_EQ(size, 0U);
    const net::Chunk chunk = co_await from.receive();
    EXPECT_FALSE(chunk);
  }
}

TEST_P(StreamTest, GivesNothingAtTheEndHoweverOftenItIsAsked) { run(read_past_the_end(a(), b())); }

Task<> send_all(net::Stream& to, std::string data) {
  co_await to.write(data);
  co_await to.shutdown();
}

TEST_P(StreamTest, WritesAllHoweverLittleThePeerTakes) {
  const std::string data = pattern(much());
  co::TaskGroup sending(base);
  sending.spawn(send_all(a(), data));
  EXPECT_TRUE(run(read_all(b())) == data);
  EXPECT_EQ(sending.size(), 0U);
}

Task<> send_pieces(net::Stream& to, const std::string& data) {
  std::vector<net::Bytes> pieces;
  std::size_t at = 0;
  for (std::size_t i = 0; at < data.size(); ++i) {
    const std::size_t size = std::min(data.size() - at, i % 5 == 0 ? 0 : i * 1000 % 20'000);
    pieces.emplace_back(data.data() + at, size);
    at += size;
  }
  co_await to.write(pieces);
  co_await to.shutdown();
}

TEST_P(StreamTest, WritesAllPiecesHoweverLittleThePeerTakes) {
  const std::string data = pattern(much());
  co::TaskGroup sending(base);
  sending.spawn(send_pieces(a(), data));
  EXPECT_TRUE(run(read_all(b())) == data);
}

Task<> expect_all(net::Stream& from, const std::string& data, int& done) {
  const std::string all = co_await read_all(from);
  EXPECT_TRUE(all == data);
  ++done;
}

TEST_P(StreamTest, PassesOverEmptyPieces) {
  std::vector<net::Bytes> pieces(100);
  pieces.emplace_back("data");
  pieces.insert(pieces.end(), 1000, net::Bytes());
  pieces.emplace_back("tail");
  ASSERT_EQ(a().try_write(std::span<const net::Bytes>(pieces)), 8);
  pieces.assign(100, net::Bytes());
  EXPECT_EQ(a().try_write(std::span<const net::Bytes>(pieces)), 0);
  EXPECT_EQ(a().try_write(std::span<const net::Bytes>()), 0);
  std::array<char, 16> room{};
  run_until([&] { return b().try_read(room) == 8; });
  EXPECT_EQ(std::string_view(room.data(), 8), "datatail");
}

TEST_P(StreamTest, WritesEveryFormOfBytes) {
  run([](net::Stream& to) -> Task<> {
    const std::array<net::Bytes, 2> pieces{"1", "2"};
    const std::vector<unsigned char> other{'5', '6'};
    char buffer[] = "4.";
    auto part = to.write({buffer, 1});
    co_await to.write(pieces);
    co_await to.write("3");
    co_await std::move(part);
    co_await to.write(other);
    co_await to.write(std::string("7"));
    co_await to.shutdown();
  }(a()));
  EXPECT_EQ(run(read_all(b())), "1234567");
}

TEST_P(StreamTest, CarriesBothDirectionsAtOnce) {
  const std::string data = pattern(much() / 4);
  int done = 0;
  co::TaskGroup tasks(base);
  for (net::Stream* stream : {&a(), &b()}) {
    tasks.spawn(send_all(*stream, data));
    tasks.spawn([stream, &data, &done] { return expect_all(*stream, data, done); });
  }
  run_until([&] { return done == 2; });
}

TEST_P(StreamTest, AnswersAPeerThatHasEndedItsDirection) {
  const auto ask = [](net::Stream& stream) -> Task<std::string> {
    co_await stream.write("question");
    co_await stream.shutdown();
    co_return co_await read_all(stream);
  };
  const std::string long_answer = pattern(much());
  const auto answer = [&long_answer](net::Stream& stream) -> Task<> {
    const std::string question = co_await read_all(stream);
    EXPECT_EQ(question, "question");
    co_await stream.write(long_answer);
    co_await stream.shutdown();
  };
  co::TaskGroup answering(base);
  answering.spawn([&] { return answer(b()); });
  EXPECT_TRUE(run(ask(a())) == long_answer);
}

TEST_P(StreamTest, GivesWhatCameBeforeTheEndInSmallReads) {
  co::TaskGroup sending(base);
  sending.spawn(send_all(b(), "0123456789"));
  settle();
  const auto read = [](net::Stream& stream) -> Task<std::string> {
    std::string all;
    std::array<char, 3> room{};
    for (;;) {
      const std::size_t size = co_await stream.read_some(room);
      if (size == 0) break;
      all.append(room.data(), size);
    }
    co_return all;
  };
  EXPECT_EQ(run(read(a())), "0123456789");
}

// Cancelled, closed, destroyed.

TEST_P(StreamTest, LosesNothingIfAReadIsCancelled) {
  Ends ends;
  co::TaskGroup reading(base);
  reading.spawn([&] { return read_until_error(a(), ends); });
  settle();
  reading.cancel();
  EXPECT_EQ(b().try_write("kept"), 4);
  settle();
  ASSERT_EQ(ends.codes.size(), 1U);
  EXPECT_EQ(ends.codes[0], std::errc::operation_canceled);
  b().try_shutdown();
  EXPECT_EQ(run(read_all(a())), "kept");
}

TEST_P(StreamTest, IsTornIfAWriteIsCancelledHalfWay) {
  Ends ends;
  co::TaskGroup writing(base);
  write_until_blocked(writing, a(), ends);
  writing.cancel();
  settle();
  ASSERT_EQ(ends.codes.size(), 1U);
  EXPECT_EQ(ends.codes[0], std::errc::operation_canceled);
  EXPECT_EQ(net::to_error(a().try_write("x")), Errc::torn);
  const std::array<net::Bytes, 1> pieces{"x"};
  EXPECT_EQ(net::to_error(a().try_write(pieces)), Errc::torn);
  // The other direction is not.
  EXPECT_EQ(b().try_write("y"), 1);
  std::array<char, 4> room{};
  settle();
  EXPECT_EQ(a().try_read(room), 1);
}

TEST_P(StreamTest, IsTornIfATaskIsDestroyedHalfWayThroughAWrite) {
  Ends ends;
  {
    co::TaskGroup writing(base);
    write_until_blocked(writing, a(), ends);
  }
  EXPECT_TRUE(ends.codes.empty());
  EXPECT_EQ(net::to_error(a().try_write("x")), Errc::torn);
}

TEST_P(StreamTest, IsTornIfAWriteOfPiecesIsCancelledHalfWay) {
  const std::string part = pattern(much());
  const auto write = [&part](net::Stream& stream) -> Task<> {
    const std::array<net::Bytes, 2> pieces{net::Bytes(part), net::Bytes(part)};
    co_await stream.write(pieces);
  };
  {
    co::TaskGroup writing(base);
    writing.spawn([&] { return write(a()); });
    settle();
  }
  EXPECT_EQ(net::to_error(a().try_write("x")), Errc::torn);
}

TEST_P(StreamTest, IsTornIfATaskThatWasCancelledBeforeSendsAPart) {
  const std::string data(much(), 'x');
  const auto write = [&data](net::Stream& stream, co::TaskGroup& own) -> Task<> {
    co_await co::yield();
    own.cancel();
    co_await stream.write(data);
  };
  co::TaskGroup writing(base);
  writing.spawn([&] { return write(a(), writing); });
  settle();
  EXPECT_EQ(writing.size(), 0U);
  EXPECT_EQ(net::to_error(a().try_write("x")), Errc::torn);
}

TEST_P(StreamTest, IsNotTornIfAWriteIsCancelledBeforeItsFirstByte) {
  while (a().try_write(std::string(100'000, 'f')) > 0) {
  }
  Ends ends;
  co::TaskGroup writing(base);
  write_until_blocked(writing, a(), ends);
  writing.cancel();
  settle();
  ASSERT_EQ(ends.codes.size(), 1U);
  const net::Io io = a().try_write("x");  // TCP may have room again
  EXPECT_TRUE(io == 1 || io == net::kWouldBlock) << io;
}

TEST_P(StreamTest, EndsTheWaitsOfBothDirectionsWhenItIsClosed) {
  Ends ends;
  co::TaskGroup tasks(base);
  write_until_blocked(tasks, a(), ends);
  tasks.spawn([&] { return read_until_error(a(), ends); });
  settle();
  ASSERT_TRUE(ends.codes.empty());
  a().close();
  settle();
  ASSERT_EQ(ends.codes.size(), 2U);
  for (const std::error_code code : ends.codes) EXPECT_EQ(code, std::errc::operation_canceled);
}

TEST_P(StreamTest, EndsTheWaitOfATaskWhoseDirectionACallbackTakesOver) {
  Ends ends;
  co::TaskGroup group(base);
  group.spawn(read_until_error(a(), ends));
  settle();
  a().on_readable([] {});
  settle();
  EXPECT_TRUE(ends.is_only(std::errc::operation_canceled));
}

TEST_P(StreamTest, IsTornIfACallbackTakesOverHalfWayThroughAWrite) {
  Ends ends;
  co::TaskGroup group(base);
  write_until_blocked(group, a(), ends);
  a().on_writable([] {});
  settle();
  EXPECT_TRUE(ends.is_only(std::errc::operation_canceled));
  EXPECT_EQ(net::to_error(a().try_write("x")), Errc::torn);
}

TEST_P(StreamTest, EndsTheWaitsOfBothDirectionsWhenItIsDestroyed) {
  Ends ends;
  co::TaskGroup tasks(base);
  const std::string data(much(), 'x');
  const auto wait = [&data](net::Stream& stream, net::Want want, Ends& its_ends) -> Task<> {
    try {
      if (want == net::Want::read) {
        std::array<char, 16> room{};
        co_await stream.read_some(room);
      } else {
        co_await stream.write(data);
      }
    } catch (const std::system_error& error) {
      its_ends.codes.push_back(error.code());
    }
  };
  tasks.spawn([&] { return wait(a(), net::Want::write, ends); });
  tasks.spawn([&] { return wait(a(), net::Want::read, ends); });
  settle();
  destroy_a();
  settle();
  ASSERT_EQ(ends.codes.size(), 2U);
  for (const std::error_code code : ends.codes) EXPECT_EQ(code, std::errc::operation_canceled);
}

Task<> try_what_is_closed(net::Stream& stream) {
  std::array<char, 16> room{};
  const auto read = co_await stream.try_read_some(room);
  EXPECT_EQ(read.error, std::errc::bad_file_descriptor);
  const auto received = co_await stream.try_receive();
  EXPECT_EQ(received.error, std::errc::bad_file_descriptor);
  const std::error_code written = co_await stream.try_write_all("x");
  EXPECT_EQ(written, std::errc::bad_file_descriptor);
  const auto exactly = co_await stream.try_read_exactly(room);
  EXPECT_EQ(exactly.error, std::errc::bad_file_descriptor);
}

TEST_P(StreamTest, GoesOnCallingBackWhenAnIdleTimeoutIsLifted) {
  for (const Duration before : {Duration::zero(), Duration(10s)}) {
    a().idle_timeout(before);
    ASSERT_EQ(b().try_write("x"), 1);
    settle();
    int calls = 0;
    a().on_readable([&] { ++calls; });
    a().idle_timeout(0s);
    settle();
    EXPECT_GT(calls, 0);
    a().on_readable({});
  }
}

TEST_P(StreamTest, RefusesEverythingOnceItIsClosed) {
  a().close();
  a().close();
  a().reset();
  run(try_what_is_closed(a()));
  EXPECT_EQ(net::to_error(a().try_shutdown()), std::errc::bad_file_descriptor);
  const std::array<net::Bytes, 2> empty_pieces{};
  EXPECT_EQ(a().try_write(empty_pieces), -EBADF);
}

TEST_P(StreamTest, RefusesEverythingOnceItIsClosedThoughItWasTornOrHadTimedOut) {
  a().tear();
  a().close();
  run(try_what_is_closed(a()));
  b().idle_timeout(10s);
  time.advance(11s);
  settle();
  b().close();
  run(try_what_is_closed(b()));
}

TEST_P(StreamTest, EndsBothWaitsWhenThePeerResets) {
  Ends reading;
  Ends writing;
  co::TaskGroup tasks(base);
  write_until_blocked(tasks, a(), writing);
  tasks.spawn([&] { return read_until_error(a(), reading); });
  settle();
  b().reset();
  run_until([&] { return !reading.codes.empty() && !writing.codes.empty(); });
  EXPECT_EQ(reading.codes[0], std::errc::connection_reset);
  EXPECT_TRUE(writing.codes[0] == std::errc::connection_reset ||
              writing.codes[0] == std::errc::broken_pipe)
      << writing.codes[0].message();
}

TEST_P(StreamTest, NeverTakesAResetThatAWriteHasSeenForTheEnd) {
  Ends writing;
  co::TaskGroup tasks(base);
  write_until_blocked(tasks, a(), writing);
  b().reset();
  run_until([&] { return !writing.codes.empty(); });
  for (int i = 0; i < 3; ++i) {
    std::array<char, 16> room{};
    const net::Io io = a().try_read(room);
    if (i > 0 && is(Carrier::local)) break;  // the kernel gives the end after the error
    EXPECT_EQ(net::to_error(io), std::errc::connection_reset) << io;
  }
}

// Whatever ends it: the kernel reports the error once, and then the end.
TEST_P(StreamTest, NeverTakesAFailureThatAWriteHasSeenForTheEnd) {
  if (!is(Carrier::toy)) GTEST_SKIP() << "the system's kernel is not told to fail";
  for (const int error :
       {ECONNRESET, ECONNABORTED, ETIMEDOUT, EHOSTUNREACH, EHOSTDOWN, ENETUNREACH}) {
    connect();
    kernel.move_error = error;
    kernel.move_errors = 1;
    EXPECT_EQ(a().try_write("x"), -error);
    b().close();
    settle();
    std::array<char, 16> room{};
    EXPECT_EQ(a().try_read(room), -error);
  }
}

TEST_P(StreamTest, RaisesNoSignalWhenThePeerIsGone) {
  b().close();
  settle();
  net::Io last = 0;
  for (int i = 0; i < 1000 && last >= 0; ++i) {
    last = i % 2 == 0 ? a().try_write("x") : a().try_write(std::array<net::Bytes, 1>{"y"});
    settle();
  }
  const std::error_code code = net::to_error(last);
  EXPECT_TRUE(code == std::errc::broken_pipe || code == std::errc::connection_reset) << last;
}

// What need not wait.

void fill(net::Stream& stream) {
  const std::string part(100'000, 'f');
  while (stream.try_write(part) > 0) {
  }
}

Task<> expect_writes_to_fail(net::Stream& stream, std::error_condition with) {
  const std::error_code bytes = co_await stream.try_write_all("x");
  EXPECT_EQ(bytes, with);
  const std::array<net::Bytes, 2> pieces{"y", "z"};
  const std::error_code in_pieces = co_await stream.try_write_all(pieces);
  EXPECT_EQ(in_pieces, with);
  co_await stream.writable();
}

TEST_P(StreamTest, FailsAtOnceToWriteOnceItIsTornThoughThePeerReadsNothing) {
  {
    Ends ends;
    co::TaskGroup writing(base);
    write_until_blocked(writing, a(), ends);
  }
  run(expect_writes_to_fail(a(), make_error_code(Errc::torn).default_error_condition()));
}

TEST_P(StreamTest, FailsAtOnceToWriteAfterItsEndThoughThePeerReadsNothing) {
  fill(a());
  EXPECT_EQ(a().try_shutdown(), 0);
  run(expect_writes_to_fail(a(), std::errc::broken_pipe));
}

Task<> shut_down(net::Stream& stream) { co_await stream.shutdown(); }

TEST_P(StreamTest, EndsAWriteThatWaitsWhenItIsShutDown) {
  Ends ends;
  co::TaskGroup writing(base);
  write_until_blocked(writing, a(), ends);
  run(shut_down(a()));
  ASSERT_TRUE(run_until([&] { return !ends.codes.empty(); }));
  EXPECT_EQ(ends.codes[0], std::errc::broken_pipe);
}

TEST_P(StreamTest, ShutsDownAtOnceThoughThePeerReadsNothing) {
  fill(a());
  run(shut_down(a()));
  EXPECT_GT(run(read_all(b())).size(), 0U);
}

TEST_P(StreamTest, ShutsDownAtOnceWhenItIsTorn) {
  {
    Ends ends;
    co::TaskGroup writing(base);
    write_until_blocked(writing, a(), ends);
  }
  run(shut_down(a()));
  EXPECT_GT(run(read_all(b())).size(), 0U);
}

// What the operations of no bytes give.
Task<> move_nothing(net::Stream& stream, std::error_code reads, std::error_code writes) {
  const auto some = co_await stream.try_read_some(net::Room());
  EXPECT_EQ(some.error, reads);
  EXPECT_EQ(some.value, 0U);
  const auto exactly = co_await stream.try_read_exactly(net::Room());
  EXPECT_EQ(exactly.error, reads);
  EXPECT_EQ(exactly.value, 0U);
  const std::array<net::Bytes, 3> empty_pieces{};
  const std::error_code bytes = co_await stream.try_write_all(net::Bytes());
  EXPECT_EQ(bytes, writes);
  const std::error_code no_pieces = co_await stream.try_write_all(std::span<const net::Bytes>());
  EXPECT_EQ(no_pieces, writes);
  const std::error_code pieces = co_await stream.try_write_all(empty_pieces);
  EXPECT_EQ(pieces, writes);
  if (reads || writes) co_return;
  const std::size_t some_thrown = co_await stream.read_some(net::Room());
  EXPECT_EQ(some_thrown, 0U);
  const std::size_t exactly_thrown = co_await stream.read_exactly(net::Room());
  EXPECT_EQ(exactly_thrown, 0U);
  co_await stream.write(net::Bytes());
  co_await stream.write(std::span<const net::Bytes>());
  co_await stream.write(empty_pieces);
}

TEST_P(StreamTest, MovesNoBytesWithoutWaiting) {
  run(move_nothing(a(), {}, {}));
  fill(a());
  run(move_nothing(a(), {}, {}));
}

TEST_P(StreamTest, FailsToMoveNoBytesOnceItIsClosed) {
  a().close();
  const std::error_code closed = net::to_error(-EBADF);
  run(move_nothing(a(), closed, closed));
}

TEST_P(StreamTest, FailsToMoveNoBytesOnceItIsTornOrTimedOut) {
  {
    Ends ends;
    co::TaskGroup writing(base);
    write_until_blocked(writing, a(), ends);
  }
  run(move_nothing(a(), {}, Errc::torn));
  b().idle_timeout(10s);
  time.advance(11s);
  settle();
  const std::error_code timed_out = net::to_error(-ETIMEDOUT);
  run(move_nothing(b(), timed_out, timed_out));
}

// Turns.

TEST_P(StreamTest, LetsOthersHaveTheirTurnWhileATaskMovesNoBytes) {
  fill(a());
  int operations = 0;
  const auto move = [](net::Stream& stream, int& count) -> Task<> {
    while (count < 1000) {
      co_await stream.read_some(net::Room());
      co_await stream.write(net::Bytes());
      count += 2;
    }
  };
  co::TaskGroup moving(base);
  moving.spawn([&] { return move(a(), operations); });
  int most = operations;
  const Bounded bounded(base);
  while (operations < 1000) {
    const int before = operations;
    base.loop(RunMode::nonblock);
    most = std::max(most, operations - before);
  }
  EXPECT_LE(most, 16);
}

TEST_P(StreamTest, LetsOthersHaveTheirTurnAfterEightOperations) {
  EXPECT_EQ(b().try_write(std::string(1000, 'x')), 1000);
  settle();
  int reads = 0;
  const auto read = [](net::Stream& stream, int& count) -> Task<> {
    std::array<char, 1> room{};
    while (count < 1000) {
      co_await stream.read_exactly(room);
      ++count;
    }
  };
  co::TaskGroup reading(base);
  reading.spawn([&] { return read(a(), reads); });
  int most = reads;
  const Bounded bounded(base);
  while (reads < 1000) {
    const int before = reads;
    base.loop(RunMode::nonblock);
    most = std::max(most, reads - before);
  }
  EXPECT_LE(most, 8);
}

TEST_P(StreamTest, LetsOthersHaveTheirTurnWhileEveryOperationFails) {
  enum class State : std::uint8_t { timed_out, reset, closed };
  for (const State state : {State::timed_out, State::reset, State::closed}) {
    connect();
    settle();
    if (state == State::timed_out) {
      a().idle_timeout(10s);
      time.advance(11s);
    } else if (state == State::reset) {
      b().reset();
    } else {
      a().close();
    }
    settle();
    int operations = 0;
    const auto use = [](net::Stream& stream, int& count) -> Task<> {
      std::array<char, 1> room{};
      for (; count < 1000; count += 2) {
        const auto read = co_await stream.try_read_some(room);
        const std::error_code written = co_await stream.try_write_all("x");
        EXPECT_TRUE(written && (read.error || read.value == 0));
      }
    };
    const auto use_socket = [](net::SocketStream& stream, int& count) -> Task<> {
      std::array<char, 1> room{};
      for (; count < 1000; count += 2) {
        const auto read = co_await stream.try_read_some(room);
        const std::error_code written = co_await stream.try_write_all("x");
        EXPECT_TRUE(written && (read.error || read.value == 0));
      }
    };
    co::TaskGroup using_it(base);
    if (auto* const socket = dynamic_cast<net::SocketStream*>(&a())) {
      using_it.spawn([&] { return use_socket(*socket, operations); });
    } else {
      using_it.spawn([&] { return use(a(), operations); });
    }
    int most = operations;
    run_until([&] {
      const int before = operations;
      base.loop(RunMode::nonblock);
      most = std::max(most, operations - before);
      return operations == 1000;
    });
    EXPECT_LE(most, 16) << static_cast<int>(state);
  }
}

TEST_P(StreamTest, EndsACancelledTaskThoughThereIsAlwaysSomethingToRead) {
  EXPECT_EQ(b().try_write(std::string(1000, 'x')), 1000);
  settle();
  int reads = 0;
  std::error_code code;
  const auto read = [](net::Stream& stream, int& count) -> Task<> {
    std::array<char, 1> room{};
    for (; count < 1000; ++count) co_await stream.read_exactly(room);
  };
  co::TaskGroup reading(base);
  reading.spawn([&]() -> Task<> {
    reading.cancel();
    code = co_await error_of(read(a(), reads));
  });
  settle();
  EXPECT_EQ(code, std::errc::operation_canceled);
  EXPECT_LE(reads, 16);
}

// Time.

TEST_P(StreamTest, TimesOutWhenNoByteHasMovedForSoLong) {
  a().idle_timeout(10s);
  Ends ends;
  co::TaskGroup tasks(base);
  tasks.spawn([&] { return read_until_error(a(), ends); });
  for (int i = 0; i < 3; ++i) {
    time.advance(9s);
    EXPECT_EQ(b().try_write("x"), 1);
    settle();
  }
  EXPECT_TRUE(ends.codes.empty());
  time.advance(9s);
  settle();
  EXPECT_TRUE(ends.codes.empty());
  time.advance(2s);
  settle();
  ASSERT_EQ(ends.codes.size(), 1U);
  EXPECT_EQ(ends.codes[0], std::errc::timed_out);
  std::array<char, 4> room{};
  EXPECT_EQ(net::to_error(a().try_read(room)), std::errc::timed_out);
  EXPECT_EQ(net::to_error(a().try_write("x")), std::errc::timed_out);
}

TEST_P(StreamTest, TimesOutWhileAWriteIsBlocked) {
  a().idle_timeout(10s);
  Ends ends;
  co::TaskGroup tasks(base);
  write_until_blocked(tasks, a(), ends);
  time.advance(9s);
  settle();
  EXPECT_TRUE(ends.codes.empty());
  time.advance(2s);
  settle();
  ASSERT_EQ(ends.codes.size(), 1U);
  EXPECT_EQ(ends.codes[0], std::errc::timed_out);
}

TEST_P(StreamTest, IsTornByAWriteThatATimeoutEndsHalfWay) {
  const std::string data(much(), 'x');
  const std::vector<net::Bytes> pieces{data, "y"};
  const auto write = [&](bool in_pieces) -> Task<std::error_code> {
    if (in_pieces) {
      const std::error_code of_pieces = co_await a().try_write_all(pieces);
      co_return of_pieces;
    }
    const std::error_code of_one = co_await a().try_write_all(data);
    co_return of_one;
  };
  const bool in_pieces = GetParam().backend != Backend::epoll;  // each way on one kind at least
  std::error_code code;
  co::TaskGroup tasks(base);
  a().idle_timeout(10s);
  tasks.spawn([&]() -> Task<> { code = co_await write(in_pieces); });
  settle();
  time.advance(11s);
  settle();
  EXPECT_EQ(code, std::errc::timed_out);
  a().idle_timeout(0s);
  EXPECT_EQ(net::to_error(a().try_write("z")), Errc::torn);
}

TEST_P(StreamTest, IsNotTimedOutAfterTheLimitIsTakenBack) {
  a().idle_timeout(10s);
  a().idle_timeout(0s);
  Ends ends;
  co::TaskGroup tasks(base);
  tasks.spawn([&] { return read_until_error(a(), ends); });
  settle();
  time.advance(1h);
  settle();
  EXPECT_TRUE(ends.codes.empty());
  a().idle_timeout(10s);
  time.advance(11s);
  settle();
  EXPECT_EQ(ends.codes.size(), 1U);
  a().idle_timeout(0s);
  EXPECT_EQ(b().try_write("x"), 1);
  settle();
  std::array<char, 4> room{};
  EXPECT_EQ(a().try_read(room), 1);
}

TEST_P(StreamTest, IsNotTimedOutByBytesAfterTheLimitWasTakenBack) {
  a().idle_timeout(10s);
  a().idle_timeout(0s);
  EXPECT_EQ(a().try_write("x"), 1);
  settle();
  time.advance(11s);
  settle();
  EXPECT_EQ(a().try_write("x"), 1);
}

TEST_P(StreamTest, LetsTheLoopSleepOnceItHasTimedOutOrFailed) {
  for (const bool resets : {false, true}) {
    connect();
    settle();
    a().idle_timeout(10s);
    if (resets) {
      b().reset();
      settle();
      std::array<char, 4> room{};
      EXPECT_LE(a().try_read(room), 0);
    }
    time.advance(11s);
    settle();
    const auto callbacks = base.stats().callbacks;
    for (int i = 0; i < 5; ++i) {
      time.advance(11s);
      settle();
    }
    EXPECT_EQ(base.stats().callbacks, callbacks) << resets;
  }
}

// One that takes longer than the limit in each iteration, after all others.
class SlowCallback {
 public:
  SlowCallback(Base& base, ManualTime& time)
      : time_(time),
        event_(
            base, -1, Events::none, [this] { run(); }, Priority::low) {
    event_.activate(Events::timeout);
  }

 private:
  void run() {
    time_.advance(11s);
    event_.activate(Events::timeout);
  }

  ManualTime& time_;
  Event event_;
};

TEST_P(StreamTest, IsNotTimedOutByOtherCallbacksWhileATaskMovesBytes) {
  const auto move = [](net::Stream& stream, bool reads) -> Task<> {
    std::array<char, 1> room{};
    for (int i = 0; i < 100; ++i) {
      if (reads) {
        co_await stream.read_some(room);
      } else {
        co_await stream.write(room);
      }
    }
  };
  EXPECT_EQ(b().try_write(std::string(100, 'x')), 100);
  settle();
  a().idle_timeout(10s);
  {
    const SlowCallback slow(base, time);
    for (const bool reads : {true, false}) EXPECT_FALSE(run(error_of(move(a(), reads))));
  }
  settle();
  time.advance(22s);  // then it is silent
  settle();
  EXPECT_EQ(net::to_error(a().try_write("x")), std::errc::timed_out);
}

TEST_P(StreamTest, IsNotTimedOutByOtherCallbacksWhileACallbackMovesBytes) {
  EXPECT_EQ(b().try_write(std::string(100, 'x')), 100);
  settle();
  a().idle_timeout(10s);
  int count = 0;
  {
    const SlowCallback slow(base, time);
    a().on_readable([&] {
      char byte = 0;
      EXPECT_EQ(a().try_read({&byte, 1}), 1);
      if (++count == 100) a().on_readable({});
    });
    run_until([&] { return count == 100; });
    a().on_writable([&] {
      EXPECT_EQ(a().try_write("x"), 1);
      if (++count == 200) a().on_writable({});
    });
    run_until([&] { return count == 200; });
  }
  a().on_writable([] {});  // moves nothing
  for (int i = 0; i < 3; ++i) {
    settle();
    time.advance(11s);
  }
  settle();
  EXPECT_EQ(net::to_error(a().try_write("x")), std::errc::timed_out);
}

TEST_P(StreamTest, ForgetsItsTimeoutWhenItIsClosed) {
  a().idle_timeout(10s);
  a().close();
  time.advance(1h);
  settle();
  EXPECT_EQ(net::to_error(a().try_write("x")), std::errc::bad_file_descriptor);
}

TEST_P(StreamTest, IsNotTimedOutByAPeerThatIsSlowButAWholeExchangeIs) {
  a().idle_timeout(10s);
  const auto read = [](net::Stream& stream) -> Task<> {
    std::array<char, 100> room{};
    co_await stream.read_exactly(room);
  };
  const auto exchange = [&read](net::Stream& stream) -> Task<> {
    co_await co::with_timeout(30s, read(stream));
  };
  std::error_code code;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> { code = co_await error_of(exchange(a())); });
  for (int second = 0; second < 29; ++second) {
    settle();
    time.advance(1s);
    EXPECT_EQ(b().try_write("x"), 1);
  }
  settle();
  EXPECT_FALSE(code);
  time.advance(1s);
  settle();
  EXPECT_EQ(code, std::errc::timed_out);
}

TEST_P(StreamTest, ReceivesUpTo64KibibytesAtOnce) {
  if (is(Carrier::tcp)) GTEST_SKIP() << "the kernel may deliver less";
  const std::string data = pattern(std::size_t{64} << 10);
  ASSERT_EQ(a().try_write(data), static_cast<net::Io>(data.size()));
  const auto receive = [](net::Stream& stream) -> Task<std::size_t> {
    const net::Chunk chunk = co_await stream.receive();
    co_return chunk.size();
  };
  EXPECT_EQ(run(receive(b())), data.size());
}

TEST(ChunkTest, IsEmptyOnceItWasMovedFrom) {
  net::Chunk first(net::detail::take_buffer(), 10);
  first.remove_prefix(3);
  const char* const bytes = first.data();
  net::Chunk second(std::move(first));
  EXPECT_EQ(second.data(), bytes);
  EXPECT_EQ(second.size(), 7U);
  // NOLINTNEXTLINE(bugprone-use-after-move)
  EXPECT_EQ(first.data(), nullptr);
  EXPECT_TRUE(first.empty());
  first = std::move(second);
  EXPECT_EQ(first.data(), bytes);
  EXPECT_EQ(first.size(), 7U);
  // NOLINTNEXTLINE(bugprone-use-after-move)
  EXPECT_EQ(second.data(), nullptr);
}

// Callbacks.

TEST_P(StreamTest, CallsBackWhileThereIsSomethingToRead) {
  std::string all;
  a().on_readable([&] {
    std::array<char, 1> room{};
    if (a().try_read(room) == 1) all += room[0];
  });
  EXPECT_EQ(b().try_write("abc"), 3);
  run_until([&] { return all.size() == 3; });
  EXPECT_EQ(b().try_write("de"), 2);
  run_until([&] { return all.size() == 5; });
  a().on_readable({});
  EXPECT_EQ(b().try_write("f"), 1);
  settle();
  EXPECT_EQ(all, "abcde");
}

TEST_P(StreamTest, CallsBackWhenThereIsRoomToWrite) {
  while (a().try_write(std::string(100'000, 'f')) > 0) {
  }
  int calls = 0;
  a().on_writable([&] {
    if (a().try_write("x") < 0) return;  // it need not be right
    ++calls;
    a().on_writable({});
  });
  settle();
  EXPECT_EQ(calls, 0);
  std::vector<char> room(1 << 20);
  run_until([&] {
    while (b().try_read(room) > 0) {
    }
    return calls == 1;
  });
}

// Somebody else reads or writes, later than the callback. A new report of the kernel may come at
// the same time, so some calls are for nothing.

TEST_P(StreamTest, StopsCallingBackWhenTheDataWereReadOutsideOfTheCallback) {
  std::array<char, 4> room{};
  int calls = 0;
  int got = 0;
  const auto drain = [&] {
    for (net::Io io = a().try_read(room); io > 0; io = a().try_read(room)) {
      got += static_cast<int>(io);
    }
  };
  a().on_readable([&] {
    ++calls;
    base.post(drain);
  });
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(b().try_write("x"), 1);
    run_until([&] { return got == i; });
    settle();
    EXPECT_LE(calls, 10 * i);
  }
}

TEST_P(StreamTest, StopsCallingBackWhenTheRoomWasFilledOutsideOfTheCallback) {
  std::vector<char> room(1 << 20);
  int calls = 0;
  a().on_writable([&] {
    ++calls;
    base.post([&] { fill(a()); });
  });
  for (int i = 1; i <= 3; ++i) {
    const int before = calls;
    run_until([&] {
      while (b().try_read(room) > 0) {
      }
      return calls > before;
    });
    settle();
    const int filled = calls;
    settle();
    EXPECT_LE(calls - filled, 10);
  }
}

TEST_P(StreamTest, StopsCallingBackInBothDirectionsWhenOthersReadAndWrite) {
  std::array<char, 4> room{};
  int reads = 0;
  int writes = 0;
  EXPECT_EQ(b().try_write("abc"), 3);
  a().on_readable([&] {
    ++reads;
    base.post([&] { static_cast<void>(a().try_read(room)); });
  });
  a().on_writable([&] {
    ++writes;
    base.post([&] { fill(a()); });
  });
  run_until([&] { return reads > 0 && writes > 0; });
  settle();
  const int before = reads + writes;
  settle();
  EXPECT_LE(reads + writes - before, 10);
}

TEST_P(StreamTest, LetsACallbackReplaceItself) {
  std::string order;
  a().on_readable([&] {
    order += '1';
    a().on_readable([&] {
      order += '2';
      a().on_readable({});
    });
  });
  EXPECT_EQ(b().try_write("x"), 1);
  settle();
  EXPECT_EQ(order, "12");
}

TEST_P(StreamTest, LetsACallbackDestroyIt) {
  int calls = 0;
  const auto kept = std::make_shared<int>(0);
  a().on_readable([&, kept] {
    ++calls;
    if (is(Carrier::memory)) {
      a().close();
    } else {
      destroy_a();
    }
    EXPECT_GT(kept.use_count(), 1);
  });
  EXPECT_EQ(b().try_write("x"), 1);
  settle();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(kept.use_count(), 1);
}

// Or the callback of the other direction may, or a task that waits for it.
TEST_P(StreamTest, IsDestroyedWithACallbackThatOwnsItHoweverThatEnds) {
  enum class How : std::uint8_t { closed, reset, replaced, removed };
  for (const How how : {How::closed, How::reset, How::replaced, How::removed}) {
    for (const bool reads : {true, false}) {
      for (const bool has_task : {true, false}) {
        connect();
        Ends ends;
        auto tasks = std::make_unique<co::TaskGroup>(base);
        std::shared_ptr<void> owner(nullptr, [&](void*) {
          tasks.reset();
          destroy_a();
        });
        net::Stream& stream = a();
        const auto call_back = [&](bool when_readable, std::function<void()> f) {
          if (when_readable) {
            stream.on_readable(std::move(f));
          } else {
            stream.on_writable(std::move(f));
          }
        };
        if (!has_task) {
          call_back(!reads, [] {});
        } else if (reads) {
          write_until_blocked(*tasks, stream, ends);
        } else {
          tasks->spawn([&] { return read_until_error(stream, ends); });
        }
        call_back(reads, [kept = std::exchange(owner, nullptr)] {});
        settle();
        ASSERT_NE(tasks, nullptr);
        switch (how) {
          case How::closed:
            stream.close();
            break;
          case How::reset:
            stream.reset();
            break;
          case How::replaced:
            call_back(reads, [] {});
            break;
          case How::removed:
            call_back(reads, {});
            break;
        }
        EXPECT_EQ(tasks, nullptr);
        settle();
      }
    }
  }
}

TEST_P(StreamTest, NeitherKeepsNorCallsACallbackThatIsSetAfterItWasClosed) {
  const auto kept = std::make_shared<int>();
  int calls = 0;
  a().close();
  a().on_readable([&, kept] { ++calls; });
  a().on_writable([&, kept] { ++calls; });
  EXPECT_EQ(kept.use_count(), 1);
  settle();
  EXPECT_EQ(calls, 0);
}

TEST_P(StreamTest, NeitherKeepsNorCallsACallbackThatACallbackSetsAfterItHasClosedIt) {
  const auto kept = std::make_shared<int>();
  int calls = 0;
  a().on_readable([&, kept] {
    ++calls;
    a().close();
    a().on_readable([&, kept] { ++calls; });
    a().on_writable([&, kept] { ++calls; });
  });
  EXPECT_EQ(b().try_write("x"), 1);
  settle();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(kept.use_count(), 1);
}

// Neither direction starves beside one that always makes sense.
TEST_P(StreamTest, CallsBothDirectionsInTurnWhileBothMakeSense) {
  EXPECT_EQ(b().try_write("nobody reads this"), 17);
  int reads = 0;
  int writes = 0;
  a().on_readable([&] { ++reads; });
  a().on_writable([&] { ++writes; });
  settle();
  EXPECT_GT(reads, 10);
  EXPECT_GT(writes, 10);
  EXPECT_LE(std::abs(reads - writes), 2);
}

TEST_P(StreamTest, IsNotTimedOutByAWriterThatGivesUpItsTurn) {
  std::array<char, 16> room{};
  a().idle_timeout(1s);
  a().on_writable([] {});
  a().on_readable([&] {
    EXPECT_EQ(a().try_read(room), 1);
    EXPECT_EQ(a().try_read(room), net::kWouldBlock);
    while (a().try_write(std::string(100'000, 'f')) > 0) {
    }
    a().on_readable([] {});  // updates what is registered
    a().on_writable({});
    a().on_readable([] {});
  });
  EXPECT_EQ(b().try_write("x"), 1);
  settle();
  EXPECT_EQ(a().try_read(room), net::kWouldBlock);
}

// The callback leaves something to read each time.
TEST_P(StreamTest, WritesBesideACallbackThatReadsNothing) {
  EXPECT_EQ(b().try_write("nobody reads this"), 17);
  Ends ends;
  co::TaskGroup tasks(base);
  write_until_blocked(tasks, a(), ends);
  a().on_readable([] {});
  settle();
  std::vector<char> room(1 << 20);
  const auto drain = [&] {
    std::size_t size = 0;
    for (net::Io io = b().try_read(room); io > 0; io = b().try_read(room)) {
      size += static_cast<std::size_t>(io);
    }
    return size;
  };
  for (int i = 0; i < 10; ++i) {
    EXPECT_GT(drain(), 0U);
    settle();
  }
}

TEST_P(StreamTest, LetsTheCallbackOfAWriteDestroyItWhileATaskReads) {
  Ends ends;
  co::TaskGroup tasks(base);
  const auto read = [](net::Stream& stream, Ends& its_ends) -> Task<> {
    std::array<char, 16> room{};
    const auto got = co_await stream.try_read_some(room);
    its_ends.codes.push_back(got.error);
  };
  tasks.spawn([&] { return read(a(), ends); });
  a().on_writable([&] {
    if (is(Carrier::memory)) {
      a().close();
    } else {
      destroy_a();
    }
  });
  settle();
  ASSERT_EQ(ends.codes.size(), 1U);
  EXPECT_EQ(ends.codes[0], std::errc::operation_canceled);
}

TEST_P(StreamTest, LetsExceptionsOfACallbackLeaveDispatchAndCallsItAgain) {
  int calls = 0;
  a().on_readable([&] {
    if (++calls == 1) throw std::runtime_error("from a callback");
    std::array<char, 4> room{};
    EXPECT_EQ(a().try_read(room), 1);
  });
  EXPECT_EQ(b().try_write("x"), 1);
  EXPECT_THROW(settle(), std::runtime_error);
  settle();
  EXPECT_EQ(calls, 2);
  a().on_readable({});
}

#ifdef NDEBUG

TEST_P(StreamTest, RefusesASecondTaskThatWouldWaitToRead) {
  Ends first;
  Ends second;
  co::TaskGroup group(base);
  group.spawn(read_until_error(a(), first));
  settle();
  run(read_until_error(a(), second));
  EXPECT_TRUE(second.is_only(std::errc::device_or_resource_busy));
  EXPECT_EQ(b().try_write("for the first"), 13);
  settle();
  std::array<char, 1> room{};
  EXPECT_EQ(a().try_read(room), net::kWouldBlock) << "the first one has read it";
  EXPECT_TRUE(first.codes.empty());
  a().close();
  settle();
  EXPECT_TRUE(first.is_only(std::errc::operation_canceled));
}

TEST_P(StreamTest, RefusesASecondTaskThatWouldWaitToWrite) {
  Ends first;
  Ends second;
  co::TaskGroup group(base);
  write_until_blocked(group, a(), first);
  run(write_for_ever(a(), second));
  EXPECT_TRUE(second.is_only(std::errc::device_or_resource_busy));
  EXPECT_TRUE(first.codes.empty());
  a().close();
  settle();
  EXPECT_TRUE(first.is_only(std::errc::operation_canceled));
}

TEST_P(StreamTest, RefusesATaskThatWouldWaitBesideACallback) {
  int calls = 0;
  Ends ends;
  a().on_readable([&] { ++calls; });
  run(read_until_error(a(), ends));
  EXPECT_TRUE(ends.is_only(std::errc::device_or_resource_busy));
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(b().try_write("x"), 1);
  settle();
  EXPECT_GT(calls, 0);
}

#else

TEST_P(StreamTest, AllowsOneWaiterInEachDirection) {
  EXPECT_DEATH(
      {
        base.after_fork();  // what is expected to die is a child
        Ends ends;
        co::TaskGroup tasks(base);
        tasks.spawn([&] { return read_until_error(a(), ends); });
        tasks.spawn([&] { return read_until_error(a(), ends); });
      },
      "each direction");
}

#endif

// Cancels at each point of an exchange.
Task<> exchange_much(net::Stream& stream, const std::string& data) {
  co_await stream.write(data);
  std::string room(data.size(), '\0');
  co_await stream.read_exactly(net::Room(room));
  EXPECT_TRUE(room == data);
}

TEST_P(StreamTest, EndsATaskThatIsCancelledAtAnyPoint) {
  const std::string data = pattern(std::size_t{1} << 20);
  for (int turns = 0; turns < 60; ++turns) {
    const bool destroys = turns % 2 == 0;
    auto ours = std::make_unique<net::Memory>(base, 50'000);
    std::unique_ptr<net::SocketStream> one;
    std::unique_ptr<net::SocketStream> other;
    if (!is(Carrier::memory)) {
      auto sockets = is(Carrier::toy)   ? kernel.pair()
                     : is(Carrier::tcp) ? connected_tcp()
                                        : net::Socket::pair();
      one = std::make_unique<net::SocketStream>(base, std::move(sockets.first));
      other = std::make_unique<net::SocketStream>(base, std::move(sockets.second));
    }
    net::Stream& first = one != nullptr ? *one : ours->a();
    net::Stream& second = other != nullptr ? *other : ours->b();
    int ended = 0;
    {
      co::TaskGroup tasks(base);
      const auto counted = [&](net::Stream& stream) -> Task<> {
        const CountsDestruction counts(ended);
        co_await exchange_much(stream, data);
      };
      tasks.spawn([&] { return counted(first); });
      tasks.spawn([&] { return counted(second); });
      for (int i = 0; i < turns; ++i) base.loop(RunMode::nonblock);
      if (!destroys) {
        tasks.cancel();
        settle();
        EXPECT_EQ(tasks.size(), 0U);
      }
    }
    EXPECT_EQ(ended, 2);
  }
}

// What only sockets have.

class SocketStreamTest : public EveryBackendCo {};

BACKEND_TEST(SocketStreamTest, GivesDataAndTheEndThatCameBeforeItWasMade) {
  Base base(real_time());
  for (const bool is_tcp : {false, true}) {
    auto sockets = is_tcp ? connected_tcp() : net::Socket::pair();
    ASSERT_EQ(::send(sockets.second.fd(), "early", 5, 0), 5);
    sockets.second.close();
    net::SocketStream stream(base, std::move(sockets.first));
    EXPECT_EQ(run_task(base, read_all(stream)), "early");
  }
}

BACKEND_TEST(SocketStreamTest, ReadsInACancelledTaskWhatCameBeforeItWasMade) {
  Base base(real_time());
  for (const bool is_tcp : {false, true}) {
    auto sockets = is_tcp ? connected_tcp() : net::Socket::pair();
    ASSERT_EQ(::send(sockets.second.fd(), "data", 4, 0), 4);
    pollfd arrived{sockets.first.fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&arrived, 1, -1), 1);
    net::SocketStream stream(base, std::move(sockets.first));
    std::vector<net::Io> results;
    co::TaskGroup tasks(base);
    tasks.spawn([&]() -> Task<> {
      tasks.cancel();
      std::array<char, 3> room{};
      for (int i = 0; i < 3; ++i) {
        const auto got = co_await stream.try_read_some(room);
        results.push_back(got ? static_cast<net::Io>(got.value) : -got.error.value());
      }
    });
    for (int i = 0; i < 3; ++i) base.loop(RunMode::nonblock);
    EXPECT_EQ(results, (std::vector<net::Io>{3, 1, -ECANCELED}));
  }
}

BACKEND_TEST(SocketStreamTest, SleepsWhileNobodyReadsWhatThePeerSends) {
  Base base(watched());
  auto sockets = connected_tcp();
  net::SocketStream stream(base, std::move(sockets.first));
  base.loop(RunMode::nonblock);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(::send(sockets.second.fd(), "x", 1, 0), 1);
    EXPECT_TRUE(stays_asleep(base));
  }
  sockets.second.shutdown(SHUT_WR);
  EXPECT_TRUE(stays_asleep(base));
  sockets.second.set_reset_on_close();
  sockets.second.close();
  EXPECT_TRUE(stays_asleep(base));
}

BACKEND_TEST(SocketStreamTest, SleepsWhileAWriteWaitsForAPeerThatWritesNoMore) {
  Base base(watched());
  auto sockets = connected_tcp();
  sockets.second.shutdown(SHUT_WR);
  net::SocketStream stream(base, std::move(sockets.first));
  Ends ends;
  co::TaskGroup tasks(base);
  tasks.spawn([&] { return write_for_ever(stream, ends); });
  for (int i = 0; i < 50; ++i) base.loop(RunMode::nonblock);
  EXPECT_TRUE(stays_asleep(base));
  EXPECT_TRUE(ends.codes.empty());
}

BACKEND_TEST(SocketStreamTest, IsACacheLineAndAllocatesNothingWhileItIsIdle) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  static_assert(sizeof(void*) != 8 || sizeof(net::SocketStream) == 64);
  Base base(real_time());
  auto warm_up = net::Socket::pair();
  { const net::SocketStream once(base, std::move(warm_up.first)); }
  auto sockets = net::Socket::pair();
  const CountingNew counting;
  net::SocketStream stream(base, std::move(sockets.first));
  std::array<char, 4> room{};
  EXPECT_EQ(stream.try_read(room), net::kWouldBlock);
  EXPECT_EQ(stream.try_write("x"), 1);
  base.loop(RunMode::nonblock);
  EXPECT_EQ(counting.count(), 0U);
}

BACKEND_TEST(SocketStreamTest, ClosesItsSocketIfItCannotBeWatched) {
  Base base(real_time());
  auto sockets = net::Socket::pair();
  const int fd = sockets.first.fd();
  {
    const FailingCall failing(attaching_on(GetParam()), ENOMEM);
    EXPECT_THROW(net::SocketStream(base, std::move(sockets.first)), std::system_error);
  }
  EXPECT_LT(::fcntl(fd, F_GETFD), 0);
}

BACKEND_TEST(SocketStreamTest, GivesItsSocketUpWithWhatIsInIt) {
  Base base(real_time());
  auto sockets = net::Socket::pair();
  ASSERT_EQ(::send(sockets.second.fd(), "kept", 4, 0), 4);
  net::SocketStream first(base, std::move(sockets.first));
  net::Socket given = first.release();
  EXPECT_EQ(first.fd(), -1);
  net::SocketStream second(base, std::move(given));
  sockets.second.close();
  EXPECT_EQ(run_task(base, read_all(second)), "kept");
}

BACKEND_TEST(SocketStreamTest, GoesOnAfterACallThatASignalInterrupted) {
  Base base(real_time());
  auto sockets = net::Socket::pair();
  net::SocketStream ours(base, std::move(sockets.first));
  net::SocketStream theirs(base, std::move(sockets.second));
  std::array<char, 8> room{};
  {
    const FailingCall failing(Call::send, EINTR);
    EXPECT_EQ(ours.try_write("twice"), 5);
  }
  const FailingCall failing(Call::recv, EINTR);
  EXPECT_EQ(theirs.try_read(room), 5);
}

Task<> count_failing_reads(net::Stream& stream, int& failures) {
  std::array<char, 4> room{};
  for (int i = 0; i < 50; ++i) {
    const auto got = co_await stream.try_read_some(room);
    if (got.error == std::errc::bad_file_descriptor) ++failures;
  }
}

// Also once the task's turn is over.
TEST_P(StreamTest, FailsHoweverOftenItIsUsedAfterItWasClosed) {
  a().close();
  int failures = 0;
  co::TaskGroup tasks(base);
  tasks.spawn(count_failing_reads(a(), failures));
  for (int i = 0; i < 3; ++i) settle();
  EXPECT_EQ(failures, 50);
}

// Over a kernel whose calls fail although the connection is alive.
class FailingStreamTest : public testing::Test {
 protected:
  FailingStreamTest() : base(no_backend()) { net::set_kernel(base, &kernel); }
  static Options no_backend() {
    Options options;
    options.backend = Backend::none;
    return options;
  }
  void fail_with(int error, int times = 1) {
    kernel.move_error = error;
    kernel.move_errors = times;
  }

  ToyKernel kernel;
  Base base;
  std::pair<net::Socket, net::Socket> sockets = kernel.pair();
  net::SocketStream a{base, std::move(sockets.first)};
  net::SocketStream b{base, std::move(sockets.second)};
  std::array<char, 8> room{};
};

TEST_F(FailingStreamTest, GoesOnAfterInterruptedCalls) {
  fail_with(EINTR, 2);
  EXPECT_EQ(a.try_write("one"), 3);
  const std::array<net::Bytes, 2> pieces{"two", "x"};
  fail_with(EINTR);
  EXPECT_EQ(a.try_write(pieces), 4);
  fail_with(EINTR);
  EXPECT_EQ(b.try_read(room), 7);
}

// So a task that reads cannot wait for ever, nor spin.
TEST_F(FailingStreamTest, FailsInBothDirectionsThoughNothingWasRead) {
  fail_with(ECONNRESET);
  EXPECT_EQ(a.try_write("lost"), -ECONNRESET);
  EXPECT_EQ(a.try_read(room), -ECONNRESET);
  EXPECT_EQ(a.try_read(room), -ECONNRESET);
}

TEST_F(FailingStreamTest, GivesWhatHasArrivedBeforeItFails) {
  EXPECT_EQ(b.try_write("kept"), 4);
  fail_with(ECONNRESET);
  EXPECT_EQ(a.try_write("lost"), -ECONNRESET);
  EXPECT_EQ(a.try_read(room), 4);
  EXPECT_EQ(a.try_read(room), -ECONNRESET);
}

TEST_F(FailingStreamTest, TellsATaskThatReadsThatItsAnswerWasNotSent) {
  net::Buffered io(a);
  const auto ask = [](net::Buffered& its_io) -> Task<> {
    its_io.put("question\n");
    co_await its_io.read_line();
  };
  fail_with(ENOBUFS, 2);
  EXPECT_EQ(co::run(base, error_of(ask(io))), std::errc::no_buffer_space);
}

TEST_F(FailingStreamTest, TellsATaskThatWaitsThatWhatWasPutWasNotSent) {
  net::Buffered io(a);
  std::error_code code;
  co::TaskGroup tasks(base);
  const auto read = [](net::Buffered& its_io, std::error_code& its_code) -> Task<> {
    const auto line = [](net::Buffered& from) -> Task<> { co_await from.read_line(); };
    its_code = co_await error_of(line(its_io));
  };
  tasks.spawn(read(io, code));
  base.loop(RunMode::nonblock);
  EXPECT_FALSE(code);
  io.put("lost");
  fail_with(ENOBUFS);
  for (int i = 0; i < 3; ++i) base.loop(RunMode::nonblock);
  EXPECT_EQ(code, std::errc::no_buffer_space);
  EXPECT_EQ(b.try_write("line\n"), 5);
  for (int i = 0; i < 3; ++i) base.loop(RunMode::nonblock);
  EXPECT_EQ(tasks.size(), 0U);
}

}  // namespace
}  // namespace event_cpp::test
