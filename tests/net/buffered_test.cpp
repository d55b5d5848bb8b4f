// Buffered: framing what is read, gathering what is written.
#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "net/carriers.hpp"
#include "net/mixed_calls.hpp"
#include "support/failing_new.hpp"
#include "support/forked.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

class BufferedTest : public testing::Test {
 protected:
  BufferedTest() : base(options(time)) {}
  static Options options(ManualTime& source) {
    Options chosen;
    chosen.backend = Backend::none;
    chosen.time = &source;
    return chosen;
  }
  template <class T>
  T run(Task<T> task) {
    const Bounded bounded(base);
    return co::run(base, std::move(task));
  }
  void settle() {
    for (int i = 0; i < 20; ++i) base.loop(RunMode::nonblock);
  }
  // All that arrived at the other end.
  std::string received() {
    std::string all;
    std::array<char, 4096> room{};
    for (;;) {
      const net::Io io = memory.b().try_read(room);
      if (io <= 0) return all;
      all.append(room.data(), static_cast<std::size_t>(io));
    }
  }
  // The other end sends this and ends.
  void sends(const std::string& text) {
    ASSERT_EQ(memory.b().try_write(text), static_cast<net::Io>(text.size()));
    memory.b().try_shutdown();
  }

  ManualTime time;
  Base base;
  net::Memory memory{base, std::size_t{1} << 20};
};

// Reading.

Task<std::vector<std::string>> lines_of(net::Buffered& io) {
  std::vector<std::string> lines;
  for (;;) {
    const auto line = co_await io.read_line();
    if (!line) break;
    lines.emplace_back(*line);
  }
  co_return std::move(lines);
}

Task<> line_of(net::Buffered& io, std::string& text) {
  const auto line = co_await io.read_line();
  text = line ? std::string(*line) : "(end)";
}

Task<> until_of(net::Buffered& io, std::string_view delimiter, std::string& text) {
  const std::string_view before = co_await io.read_until(delimiter);
  text = before;
}

Task<> exactly_of(net::Buffered& io, std::size_t count, std::string& text) {
  const std::string_view all = co_await io.read_exactly(count);
  text = all;
}

TEST_F(BufferedTest, ReadsLinesHoweverTheyAreCut) {
  for (const std::size_t cut : {1U, 2U, 3U, 1000U}) {
    net::Memory cutting(base);
    cutting.at_most(cut);
    const std::string text = "one\r\ntwo\n\n\r\nthr\ree\nlast";
    for (std::size_t at = 0; at < text.size();) {
      at += static_cast<std::size_t>(
          cutting.b().try_write(net::Bytes(text.data() + at, text.size() - at)));
    }
    cutting.b().try_shutdown();
    net::Buffered io(cutting.a());
    const std::vector<std::string> expected{"one", "two", "", "", "thr\ree", "last"};
    EXPECT_EQ(run(lines_of(io)), expected) << cut;
  }
}

TEST_F(BufferedTest, RefusesALineThatIsTooLongAndTakesTheLongestThatIsNot) {
  net::Limits limits;
  limits.line = 10;
  for (const std::string end : {"\n", "\r\n", ""}) {
    net::Memory fits(base);
    const std::string text = "0123456789" + end;
    ASSERT_GT(fits.b().try_write(text), 0);
    fits.b().try_shutdown();
    net::Buffered io(fits.a(), limits);
    std::string line;
    run(line_of(io, line));
    EXPECT_EQ(line, "0123456789");

    net::Memory exceeds(base);
    const std::string longer = "0123456789x" + end;
    ASSERT_GT(exceeds.b().try_write(longer), 0);
    exceeds.b().try_shutdown();
    net::Buffered too_long(exceeds.a(), limits);
    EXPECT_EQ(run(error_of(line_of(too_long, line))), Errc::too_long) << end.size();
    EXPECT_EQ(run(error_of(line_of(too_long, line))), Errc::too_long);
  }
}

TEST_F(BufferedTest, RefusesALineAtTheFirstByteThatIsTooMuch) {
  net::Limits limits;
  limits.line = 4;
  for (const std::string start : {"01234", "0123\rx", "01234\r"}) {
    net::Memory ends(base);
    ASSERT_GT(ends.b().try_write(start), 0);
    net::Buffered io(ends.a(), limits);
    std::string line;
    EXPECT_EQ(run(error_of(line_of(io, line))), Errc::too_long) << start.size();
  }
  for (const std::string start : {"0123", "0123\r"}) {
    net::Memory ends(base);
    ASSERT_GT(ends.b().try_write(start), 0);
    net::Buffered io(ends.a(), limits);
    std::string line;
    co::TaskGroup group(base);
    group.spawn(line_of(io, line));
    settle();
    EXPECT_EQ(group.size(), 1U) << "it may fit";
    ASSERT_GT(ends.b().try_write("\n"), 0);
    settle();
    EXPECT_EQ(line, "0123");
  }
}

TEST_F(BufferedTest, RefusesAnEndlessLineBeforeItsEndHasCome) {
  ASSERT_GT(memory.b().try_write(std::string(100'000, 'x')), 0);
  net::Buffered io(memory.a());
  std::string line;
  EXPECT_EQ(run(error_of(line_of(io, line))), Errc::too_long);
}

TEST_F(BufferedTest, TakesAnyNumberAsALimitOfALine) {
  for (std::size_t below_max = 0; below_max < 4; ++below_max) {
    net::Limits limits;
    limits.line = std::numeric_limits<std::size_t>::max() - below_max;
    net::Memory late(base);
    net::Buffered io(late.a(), limits);
    std::string line;
    std::string before;
    co::TaskGroup tasks(base);
    ASSERT_GT(late.b().try_write("hello "), 0);
    tasks.spawn(line_of(io, line));
    settle();
    ASSERT_GT(late.b().try_write("world\nhello "), 0);
    settle();
    EXPECT_EQ(line, "hello world");
    tasks.spawn(until_of(io, "||", before));
    settle();
    ASSERT_GT(late.b().try_write("again||"), 0);
    settle();
    EXPECT_EQ(before, "hello again");
  }
}

TEST_F(BufferedTest, ReadsUpToADelimiterHoweverItIsCut) {
  for (const std::size_t cut : {1U, 2U, 3U, 1000U}) {
    net::Memory cutting(base);
    const std::string text = "a-b--c---d--";
    ASSERT_GT(cutting.b().try_write(text), 0);
    cutting.b().try_shutdown();
    cutting.at_most(cut);
    net::Buffered io(cutting.a());
    std::string before;
    run(until_of(io, "--", before));
    EXPECT_EQ(before, "a-b");
    run(until_of(io, "---", before));
    EXPECT_EQ(before, "c");
    EXPECT_EQ(run(error_of(until_of(io, "==", before))), Errc::truncated);
    run(until_of(io, "--", before));
    EXPECT_EQ(before, "d");
    EXPECT_EQ(run(error_of(until_of(io, "", before))), std::errc::invalid_argument);
  }
}

TEST_F(BufferedTest, ReadsExactlyWhatIsAskedForOrSaysThatItEnded) {
  sends("abcdef");
  net::Buffered io(memory.a());
  std::string text;
  run(exactly_of(io, 4, text));
  EXPECT_EQ(text, "abcd");
  run(exactly_of(io, 0, text));
  EXPECT_EQ(text, "");
  EXPECT_EQ(run(error_of(exactly_of(io, 3, text))), Errc::truncated);
  run(exactly_of(io, 2, text));
  EXPECT_EQ(text, "ef");
  EXPECT_EQ(run(error_of(exactly_of(io, (64 << 10) + 1, text))), Errc::too_long);
}

TEST_F(BufferedTest, ShowsWhatComesWithoutTakingIt) {
  sends("abc");
  net::Buffered io(memory.a());
  const auto look = [&io]() -> Task<> {
    const std::string_view first = co_await io.peek();
    EXPECT_EQ(first, "abc");
    const std::string_view again = co_await io.peek();
    EXPECT_EQ(again, "abc");
    io.consume(2);
    EXPECT_EQ(io.buffered(), "c");
    const net::Chunk chunk = co_await io.receive();
    EXPECT_EQ(chunk.text(), "c");
    const std::string_view none = co_await io.peek();
    EXPECT_EQ(none, "");
    const net::Chunk end = co_await io.receive();
    EXPECT_FALSE(end);
  };
  run(look());
}

// A reader that gives up again and again, and writers of any cuts, against what was written.
TEST_F(BufferedTest, LosesNothingHoweverItIsCutAndCancelled) {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&random](std::size_t n) { return random() % n; };
    net::Memory cutting(base, 1 + below(50));
    cutting.at_most(1 + below(20));
    if (seed % 2 == 0) cutting.delay(Duration(below(5'000'000)));
    std::string sent;
    for (int i = 0; i < 100; ++i) {
      sent.append(below(30), static_cast<char>('a' + below(26)));
      sent += below(3) == 0 ? "\r\n" : "\n";
    }
    co::TaskGroup sending(base);
    sending.spawn([&]() -> Task<> {
      net::Buffered out(cutting.b());
      std::size_t at = 0;
      while (at < sent.size()) {
        const std::size_t size = std::min(sent.size() - at, 1 + below(40));
        const net::Bytes part(sent.data() + at, size);
        at += size;
        const std::size_t kind = below(3);
        if (kind == 0) out.put(part);
        if (kind == 1) co_await out.write(part);
        if (kind == 2) co_await co::yield();
        if (kind == 2) out.put(part);
        if (below(5) == 0) co_await out.flush();
      }
      co_await out.flush();
      co_await cutting.b().shutdown();
    });

    net::Buffered in(cutting.a());
    std::size_t taken = 0;
    bool ended = false;
    const auto read_once = [&](std::size_t kind, std::size_t size) -> Task<> {
      if (kind == 0) {
        const auto line = co_await in.read_line();
        if (!line) {
          ended = true;
          co_return;
        }
        EXPECT_EQ(*line, std::string_view(sent).substr(taken, line->size()));
        taken += line->size();
        if (sent[taken] == '\r') ++taken;
        EXPECT_EQ(sent[taken], '\n');
        ++taken;
      } else if (kind == 1) {
        const std::string_view text = co_await in.read_exactly(std::min(size, sent.size() - taken));
        EXPECT_EQ(text, std::string_view(sent).substr(taken, text.size()));
        taken += text.size();
      } else if (kind == 2) {
        const std::string_view text = co_await in.peek();
        EXPECT_EQ(text, std::string_view(sent).substr(taken, text.size()));
        const std::size_t some = std::min(size, text.size());
        in.consume(some);
        taken += some;
      } else {
        const net::Chunk chunk = co_await in.receive();
        EXPECT_EQ(chunk.text(), std::string_view(sent).substr(taken, chunk.size()));
        taken += chunk.size();
        ended = !chunk;
      }
    };
    const auto read_all_of_it = [&]() -> Task<> {
      while (!ended && !HasFailure()) {
        const std::size_t kind = below(4);
        const std::size_t size = 1 + below(20);
        if (below(3) == 0) {
          const Duration limit(below(3'000'000));
          co_await co::try_with_timeout(limit, read_once(kind, size));
        } else {
          co_await read_once(kind, size);
        }
      }
    };
    run(read_all_of_it());
    ASSERT_EQ(taken, sent.size()) << "seed " << seed;
  }
}

TEST_F(BufferedTest, LosesNothingHoweverItsCallsAreMixed) {
  for (unsigned seed = 1; seed <= 60 && !HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    net::Memory narrow(base, 1 + seed * seed);
    if (seed % 2 == 0) narrow.at_most(seed);
    MixedCalls(base, narrow.a(), narrow.b(), seed).run(400);
  }
}

// Turns. Operations that only copy are cheap, but not free.

constexpr int kCopiesInATurn = 256;

Task<> count_lines(net::Buffered& io, int& lines) {
  for (;;) {
    const auto line = co_await io.read_line();
    if (!line) break;
    EXPECT_EQ(*line, std::to_string(lines));
    ++lines;
  }
}
std::string numbered_lines(int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += std::to_string(i) + "\n";
  return all;
}

TEST_F(BufferedTest, LetsOthersHaveTheirTurnThoughALineIsAlwaysThere) {
  constexpr int kLines = 5'000;
  sends(numbered_lines(kLines));
  net::Buffered io(memory.a());
  co::TaskGroup tasks(base);
  int lines = 0;
  tasks.spawn(count_lines(io, lines));
  EXPECT_EQ(lines, kCopiesInATurn);
  int turns = 0;
  for (; tasks.size() > 0 && turns < kLines; ++turns) {
    const int before = lines;
    base.loop(RunMode::nonblock);
    EXPECT_LE(lines - before, kCopiesInATurn + 1);
  }
  EXPECT_EQ(lines, kLines);
  EXPECT_LE(turns, kLines / kCopiesInATurn + 5);
}

TEST_F(BufferedTest, NoticesInItsTurnThatItWasCancelledAndLosesNothing) {
  constexpr int kLines = 1'000;
  sends(numbered_lines(kLines));
  net::Buffered io(memory.a());
  int lines = 0;
  while (lines < kLines) {
    const int before = lines;
    co::TaskGroup tasks(base);
    tasks.spawn(count_lines(io, lines));
    const int first = lines;
    EXPECT_LE(first - before, kCopiesInATurn);
    tasks.cancel();
    settle();
    EXPECT_EQ(tasks.size(), 0U);
    if (first < kLines) {
      EXPECT_EQ(lines, first);
    }
  }
  EXPECT_EQ(lines, kLines);
}

TEST_F(BufferedTest, EndsAReaderByATimeLimitThoughALineIsAlwaysThere) {
  constexpr int kLines = 20'000;
  sends(std::string(kLines, '\n'));
  net::Buffered io(memory.a());
  int lines = 0;
  const auto read_slowly = [&]() -> Task<> {
    for (;; ++lines) {
      const auto line = co_await io.read_line();
      if (!line) break;
      time.advance(10us);
    }
  };
  const auto read_for_a_while = [&]() -> Task<> {
    co_await co::try_with_timeout(1ms, read_slowly());
  };
  run(read_for_a_while());
  EXPECT_LE(lines, 4 * kCopiesInATurn);
}

TEST_F(BufferedTest, AnswersABatchOfCommandsInOneTurn) {
  constexpr int kCommands = 32;
  net::Buffered io(memory.a());
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    for (;;) {
      const auto line = co_await io.read_line();
      if (!line) break;
      co_await io.write("$2\r\n");
      co_await io.write(*line);
      co_await io.write("\r\n");
    }
  });
  for (int batch = 0; batch < 5; ++batch) {
    std::string commands;
    for (int i = 0; i < kCommands; ++i) commands += "ok\r\n";
    ASSERT_GT(memory.b().try_write(commands), 0);
    base.loop(RunMode::nonblock);
    EXPECT_EQ(received().size(), kCommands * 8U) << batch;
  }
}

TEST_F(BufferedTest, MayBeDestroyedWhileATaskLetsOthersHaveTheirTurn) {
  for (const bool reads : {true, false}) {
    net::Memory wide(base, std::size_t{1} << 20);
    std::optional<net::Buffered> io(wide.a());
    ASSERT_GT(wide.b().try_write(std::string(1'000, '\n')), 0);
    int count = 0;
    std::error_code code;
    co::TaskGroup tasks(base);
    tasks.spawn([&]() -> Task<> {
      const auto read = [&]() -> Task<> {
        for (; io.has_value(); ++count) co_await io->read_line();
      };
      const auto write = [&]() -> Task<> {
        for (; io.has_value(); ++count) co_await io->write("x");
      };
      if (reads) {
        code = co_await error_of(read());
      } else {
        code = co_await error_of(write());
      }
    });
    EXPECT_EQ(count, kCopiesInATurn);
    io.reset();
    settle();
    EXPECT_EQ(tasks.size(), 0U);
    EXPECT_EQ(code == std::errc::operation_canceled, reads);  // what was written is sent
  }
}

TEST_F(BufferedTest, HoldsNoMemoryWhileItIsEmpty) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  net::Buffered io(memory.a());
  co::TaskGroup tasks(base);
  std::string line;
  {
    const CountingNew counting;
    tasks.spawn(line_of(io, line));
    EXPECT_LE(counting.count(), 2U);  // the task's own frames
  }
  sends("x\n");
  settle();
  EXPECT_EQ(line, "x");
}

TEST_F(BufferedTest, ReportsThatThereIsNoMemoryAndLosesNothing) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  ASSERT_GT(memory.b().try_write("first part, "), 0);
  net::Buffered io(memory.a());
  std::string line;
  std::vector<char*> kept;  // buffers that are kept for reuse
  for (int i = 0; i < 16; ++i) kept.push_back(net::detail::take_buffer());
  std::size_t failures = 0;
  for (std::size_t nth = 0; nth < 20; ++nth) {
    std::error_code code;
    {
      const FailingNew failing(nth);
      try {
        const auto read = [&]() -> Task<> {
          const auto got = co_await co::try_with_timeout(1ms, io.read_line());
          static_cast<void>(got);
        };
        co::run(base, read());
      } catch (const std::bad_alloc&) {
        code = std::make_error_code(std::errc::not_enough_memory);
      } catch (const std::system_error& error) {
        code = error.code();
      }
      failures += failing.failures();
    }
    EXPECT_TRUE(!code || code == std::errc::not_enough_memory) << code.message();
  }
  EXPECT_GT(failures, 0U);
  for (char* const buffer : kept) net::detail::give_back_buffer(buffer);
  ASSERT_GT(memory.b().try_write("second part\n"), 0);
  run(line_of(io, line));
  EXPECT_EQ(line, "first part, second part");
}

// Writing.

TEST_F(BufferedTest, SendsWhatWasPutAtTheEndOfTheIteration) {
  net::Buffered io(memory.a());
  base.post([&] {
    io.put("one ");
    io.put("two");
    EXPECT_EQ(io.unsent(), 7U);
  });
  base.loop(RunMode::nonblock);
  base.loop(RunMode::nonblock);
  EXPECT_EQ(io.unsent(), 0U);
  EXPECT_EQ(received(), "one two");
}

TEST_F(BufferedTest, KeepsTheBaseAwakeUntilWhatWasPutIsSent) {
  net::Buffered io(memory.a());
  base.post([&] { io.put("hello"); });
  base.loop(RunMode::nonblock);
  EXPECT_EQ(io.unsent(), 5U) << "several become one write";
  EXPECT_TRUE(base.has_work());
  EXPECT_EQ(base.next_timeout(), Duration::zero());
  base.dispatch();
  EXPECT_EQ(received(), "hello");
}

TEST_F(BufferedTest, IsNoDeadlockIfATaskWaitsForWhatWasPut) {
  net::Buffered io(memory.a());
  const auto put = [](net::Buffered& to) -> Task<> {
    to.put("hello");
    co_return;
  };
  const auto read = [](net::Stream& from) -> Task<> {
    std::array<char, 5> room{};
    co_await from.read_exactly(room);
  };
  const auto both = [&]() -> Task<> { co_await co::when_all(read(memory.b()), put(io)); };
  run(both());
}

TEST_F(BufferedTest, SendsInTheNextRunWhatWasPutBeforeAStop) {
  net::Buffered io(memory.a());
  base.post([&] {
    io.put("hello");
    base.stop();
  });
  base.dispatch();
  base.dispatch();
  EXPECT_EQ(received(), "hello");
}

TEST_F(BufferedTest, SendsWhatWasPutBeforeATaskWaitsForAnAnswer) {
  net::Buffered io(memory.a());
  co::TaskGroup tasks(base);
  std::string answer;
  tasks.spawn([&]() -> Task<> {
    io.put("question");
    const auto line = co_await io.read_line();
    answer = *line;
  });
  EXPECT_EQ(received(), "question");
  ASSERT_GT(memory.b().try_write("answer\n"), 0);
  settle();
  EXPECT_EQ(answer, "answer");
}

TEST_F(BufferedTest, CopiesManyPiecesInOneTurn) {
  net::Buffered io(memory.a());
  co::TaskGroup tasks(base);
  int written = 0;
  tasks.spawn([&]() -> Task<> {
    for (; written < 1'000; ++written) co_await io.write("x");
  });
  int turns = 1;
  EXPECT_EQ(written, kCopiesInATurn);
  for (; written < 1'000 && turns < 1'000; ++turns) base.loop(RunMode::nonblock);
  EXPECT_LE(turns, 1'000 / kCopiesInATurn + 2);
  settle();
  EXPECT_EQ(received().size(), 1'000U);
}

TEST_F(BufferedTest, LetsOthersHaveTheirTurnThoughItMayAlwaysWrite) {
  for (const std::string piece : {"", "some bytes"}) {
    net::Memory endless(base, std::size_t{1} << 30);
    net::Buffered io(endless.a());
    co::TaskGroup tasks(base);
    int written = 0;
    tasks.spawn([&]() -> Task<> {
      for (;; ++written) co_await io.write(piece);
    });
    EXPECT_EQ(written, kCopiesInATurn);
    tasks.cancel();
    settle();
    EXPECT_EQ(tasks.size(), 0U) << piece;
  }
}

TEST_F(BufferedTest, WaitsAboveTheHighMarkUntilTheLowOne) {
  net::Memory narrow(base, 10);
  net::Limits limits;
  limits.low = 20;
  limits.high = 50;
  net::Buffered io(narrow.a(), limits);
  co::TaskGroup tasks(base);
  bool done = false;
  tasks.spawn([&]() -> Task<> {
    co_await io.write(std::string_view("0123456789012345678901234567890123456789"));
    co_await io.write(std::string_view("0123456789012345678901234567890123456789"));
    done = true;
  });
  settle();
  EXPECT_FALSE(done);
  EXPECT_EQ(io.unsent(), 70U);
  std::array<char, 10> room{};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(narrow.b().try_read(room), 10);
    settle();
    EXPECT_FALSE(done) << io.unsent();
  }
  EXPECT_EQ(narrow.b().try_read(room), 10);
  settle();
  EXPECT_TRUE(done);
  EXPECT_EQ(io.unsent(), 20U);
}

TEST_F(BufferedTest, TakesNothingThatExceedsItsLimit) {
  net::Memory narrow(base, 1);
  net::Limits limits;
  limits.most = 100;
  net::Buffered io(narrow.a(), limits);
  io.put(std::string(60, 'x'));
  try {
    io.put(std::string(41, 'y'));
    ADD_FAILURE();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_buffer_space);
  }
  EXPECT_EQ(io.unsent(), 60U);
  io.put(std::string(40, 'z'));
  EXPECT_EQ(io.unsent(), 100U);
}

Task<> flush(net::Buffered& io) { co_await io.flush(); }
Task<> write(net::Buffered& io, std::string text) { co_await io.write(text); }

TEST_F(BufferedTest, ReportsTheErrorOfAnEarlierSendOnEveryLaterWrite) {
  net::Buffered io(memory.a());
  memory.break_after(0, std::make_error_code(std::errc::connection_reset));
  io.put("lost");
  settle();
  EXPECT_EQ(io.unsent(), 0U);
  try {
    io.put("x");
    ADD_FAILURE();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::connection_reset);
  }
  EXPECT_EQ(run(error_of(flush(io))), std::errc::connection_reset);
  EXPECT_EQ(run(error_of(write(io, "x"))), std::errc::connection_reset);
}

TEST_F(BufferedTest, LetsATaskWaitBeforeTheOneThatItHasWokenGoesOn) {
  net::Memory narrow(base, 10);
  net::Buffered io(narrow.a());
  co::TaskGroup tasks(base);
  std::array<char, 100> room{};
  io.put("0123456789 first");
  tasks.spawn(flush(io));
  settle();
  EXPECT_EQ(tasks.size(), 1U);
  EXPECT_EQ(narrow.b().try_read(room), 10);
  while (io.unsent() > 0) base.loop(RunMode::nonblock);
  io.put("0123456789 second");
  tasks.spawn(flush(io));
  for (int i = 0; i < 10; ++i) {
    static_cast<void>(narrow.b().try_read(room));
    settle();
  }
  EXPECT_EQ(tasks.size(), 0U);
  EXPECT_EQ(io.unsent(), 0U);
}

TEST_F(BufferedTest, EndsAFlushWhenTheStreamIsClosed) {
  net::Memory narrow(base, 1);
  net::Buffered io(narrow.a());
  io.put("much");
  co::TaskGroup tasks(base);
  std::error_code code;
  tasks.spawn([&]() -> Task<> { code = co_await error_of(flush(io)); });
  settle();
  narrow.a().close();
  settle();
  EXPECT_EQ(code, std::errc::operation_canceled);
}

#ifdef NDEBUG  // else it is asserted

TEST_F(BufferedTest, RefusesASecondReadAndKeepsTheFirst) {
  net::Buffered io(memory.a());
  std::string line;
  std::string other;
  co::TaskGroup tasks(base);
  tasks.spawn(line_of(io, line));
  settle();
  EXPECT_EQ(run(error_of(line_of(io, other))), std::errc::device_or_resource_busy);
  ASSERT_EQ(memory.b().try_write("first\n"), 6);
  settle();
  EXPECT_EQ(line, "first");
}

TEST_F(BufferedTest, RefusesASecondTaskThatWouldWaitToWriteAndCopiesNothingOfIt) {
  net::Memory narrow(base, 10);
  net::Buffered io(narrow.a(), {.low = 10, .high = 20});
  co::TaskGroup tasks(base);
  tasks.spawn(write(io, std::string(40, 'x')));
  settle();
  EXPECT_EQ(run(error_of(write(io, "much"))), std::errc::device_or_resource_busy);
  EXPECT_EQ(run(error_of(flush(io))), std::errc::device_or_resource_busy);
  std::string all;
  const auto read_until = [&](std::size_t size) {
    std::array<char, 10> room{};
    for (int i = 0; i < 100 && all.size() < size; ++i) {
      const net::Io got = narrow.b().try_read(room);
      if (got > 0) all.append(room.data(), static_cast<std::size_t>(got));
      settle();
    }
  };
  read_until(40);
  run(write(io, "y"));
  read_until(41);
  EXPECT_EQ(all, std::string(40, 'x') + "y");
}

#endif

TEST_F(BufferedTest, LeavesOtherCodeThatWaitsToWriteAlone) {
  net::Memory narrow(base, 10);
  int calls = 0;
  ASSERT_EQ(narrow.a().try_write(std::string(20, 'x')), 10);
  narrow.a().on_writable([&] { ++calls; });
  {
    net::Buffered io(narrow.a());
    io.put("much");
    settle();
    EXPECT_EQ(run(error_of(flush(io))), std::errc::device_or_resource_busy);
  }
  EXPECT_EQ(calls, 0);
  std::array<char, 10> room{};
  EXPECT_EQ(narrow.b().try_read(room), 10);
  settle();
  EXPECT_GT(calls, 0);
}

TEST_F(BufferedTest, SendsAllOfAWriteThatIsCancelled) {
  net::Memory narrow(base, 1);
  net::Limits limits;
  limits.high = 2;
  limits.low = 1;
  net::Buffered io(narrow.a(), limits);
  co::TaskGroup tasks(base);
  tasks.spawn(write(io, "abcdef"));
  settle();
  EXPECT_EQ(tasks.size(), 1U);
  tasks.cancel();
  settle();
  EXPECT_EQ(tasks.size(), 0U);
  std::string all;
  std::array<char, 1> room{};
  for (int i = 0; i < 20; ++i) {
    if (narrow.b().try_read(room) > 0) all += room[0];
    settle();
  }
  EXPECT_EQ(all, "abcdef");
}

TEST_F(BufferedTest, ThatIsDestroyedSendsWhatItCan) {
  {
    net::Buffered io(memory.a());
    io.put("sent");
  }
  EXPECT_EQ(received(), "sent");
  net::Memory narrow(base, 2);
  {
    net::Buffered io(narrow.a());
    io.put("sent");
  }
  settle();
  std::array<char, 4> room{};
  EXPECT_EQ(narrow.b().try_read(room), 2);
}

// The same over what real streams do.

class BufferedSystemTest : public EveryBackend {};

class BufferedStreamTest : public EveryCarrier {};
ON_EVERY_CARRIER(BufferedStreamTest);

Task<> put_numbers(net::Stream& stream, int count) {
  net::Buffered io(stream);
  for (int i = 0; i < count; ++i) {
    const std::string line = std::to_string(i) + "\n";
    if (i % 3 == 0) {
      io.put(line);
    } else {
      co_await io.write(line);
    }
  }
  co_await io.flush();
  co_await stream.shutdown();
}

Task<int> read_numbers(net::Stream& stream) {
  net::Buffered io(stream);
  int next = 0;
  for (;;) {
    const auto line = co_await io.read_line();
    if (!line) break;
    EXPECT_EQ(*line, std::to_string(next));
    ++next;
  }
  co_return next;
}

BACKEND_TEST(BufferedSystemTest, ReadsInACancelledTaskWhatCameBeforeItWasMade) {
  Base base(real_time());
  auto sockets = net::Socket::pair();
  ASSERT_EQ(::send(sockets.second.fd(), "one\n", 4, 0), 4);
  net::SocketStream stream(base, std::move(sockets.first));
  net::Buffered io(stream);
  std::string line;
  std::error_code error;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    tasks.cancel();
    co_await line_of(io, line);
    error = co_await error_of(line_of(io, line));
  });
  for (int i = 0; i < 3; ++i) base.loop(RunMode::nonblock);
  EXPECT_EQ(line, "one");
  EXPECT_EQ(error, std::errc::operation_canceled);
}

BACKEND_TEST(BufferedSystemTest, SendsNothingOfItsParentIfAChildDestroysIt) {
  for (const bool keeps_base : {false, true}) {
    Base base(real_time());
    auto sockets = net::Socket::pair();
    net::SocketStream stream(base, std::move(sockets.first));
    auto io = std::make_unique<net::Buffered>(stream);
    io->put("once");
    EXPECT_TRUE(succeeds_in_child([&] {
      if (keeps_base) base.after_fork();
      io.reset();
      net::Buffered own(stream);
      own.put("the child's ");
    }));
    io.reset();
    std::array<char, 100> room{};
    const ssize_t size = ::recv(sockets.second.fd(), room.data(), room.size(), MSG_DONTWAIT);
    ASSERT_GT(size, 0);
    EXPECT_EQ(std::string(room.data(), static_cast<std::size_t>(size)), "the child's once");
  }
}

TEST_P(BufferedStreamTest, KeepsTheOrderOfWhatIsPutAndWritten) {
  co::TaskGroup sending(base);
  sending.spawn(put_numbers(a(), 100'000));
  EXPECT_EQ(run(read_numbers(b())), 100'000);
}

// What was put is sent at the end of the iteration, after the stream has been shut down.
TEST_P(BufferedStreamTest, LeavesOtherCodeThatReadsAloneWhenASendFails) {
  for (const bool has_waited : {false, true}) {
    std::string got;
    std::string line;
    co::TaskGroup tasks(base);
    net::Buffered io(a());
    if (has_waited) {
      tasks.spawn(line_of(io, line));
      settle();
      ASSERT_EQ(b().try_write("hello\n"), 6);
      run_until([&] { return tasks.size() == 0; });
    }
    tasks.spawn([&]() -> Task<> {
      io.put("QUIT\r\n");
      co_await a().shutdown();
      const net::Chunk chunk = co_await a().receive();
      got = chunk.text();
    });
    settle();
    EXPECT_EQ(tasks.size(), 1U);
    ASSERT_EQ(b().try_write("bye"), 3);
    run_until([&] { return tasks.size() == 0; });
    EXPECT_EQ(got, "bye");
    EXPECT_EQ(run(error_of(flush(io))), std::errc::broken_pipe);
  }
}

TEST_P(BufferedStreamTest, SendsWhatWasPutBeforeADrainAndClose) {
  net::Buffered io(a());
  std::string got;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    io.put("QUIT\r\n");
    co_await net::drain_and_close(a(), 1s);
  });
  tasks.spawn([&]() -> Task<> {
    got = co_await read_all(b());
    b().close();
  });
  run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(got, "QUIT\r\n");
}

TEST_P(BufferedStreamTest, TellsAWriterThatTheStreamIsDrainedAndClosed) {
  net::Buffered io(a());
  std::error_code code;
  co::TaskGroup tasks(base);
  io.put(std::string(much(), 'x'));
  tasks.spawn([&]() -> Task<> { code = co_await error_of(flush(io)); });
  tasks.spawn([&]() -> Task<> { co_await net::drain_and_close(a(), 1s); });
  tasks.spawn([&]() -> Task<> {
    const std::string all = co_await read_all(b());
    EXPECT_LT(all.size(), much());
    b().close();
  });
  run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(code, std::errc::operation_canceled);
}

TEST_P(BufferedStreamTest, GoesOnSendingAfterAReadHasSentTheRest) {
  net::Buffered io(a());
  std::size_t sent = much();
  std::size_t got = 0;
  std::string room(std::size_t{1} << 20, '\0');
  const auto peer_reads = [&] {
    net::Io size = 0;
    while ((size = b().try_read(room)) > 0) got += static_cast<std::size_t>(size);
  };
  io.put(std::string(much(), 'x'));
  settle();
  EXPECT_GT(io.unsent(), 0U);
  co::TaskGroup reader(base);
  co::TaskGroup tasks(base);
  std::string line;
  peer_reads();
  reader.spawn(line_of(io, line));  // sends before it waits
  for (int i = 0; i < 3; ++i) {
    run_until([&] {
      peer_reads();
      return got == sent;
    });
    EXPECT_EQ(io.unsent(), 0U);
    sent += 5;
    io.put("more\n");
    tasks.spawn(flush(io));
    run_until([&] { return tasks.size() == 0; });
  }
}

TEST_P(BufferedStreamTest, ThatIsDestroyedEndsTheTasksThatWaitInIt) {
  std::optional<net::Buffered> io(a());
  std::string line;
  std::array<std::error_code, 2> codes;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> { codes[0] = co_await error_of(line_of(*io, line)); });
  tasks.spawn(
      [&]() -> Task<> { codes[1] = co_await error_of(write(*io, std::string(much(), 'x'))); });
  settle();
  EXPECT_EQ(tasks.size(), 2U);
  io.reset();
  settle();
  EXPECT_EQ(tasks.size(), 0U);
  for (const std::error_code& code : codes) EXPECT_EQ(code, std::errc::operation_canceled);
  // Others may wait now.
  std::array<char, 10> room{};
  tasks.spawn([&]() -> Task<> {
    const std::size_t size = co_await a().read_some(room);
    EXPECT_EQ(size, 5U);
  });
  ASSERT_EQ(b().try_write("hello"), 5);
  run_until([&] { return tasks.size() == 0; });
}

TEST_P(BufferedStreamTest, ReportsThatThePeerHasReset) {
  net::Buffered io(a());
  io.put(std::string(8 << 20, 'x'));
  settle();
  std::error_code code;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> { code = co_await error_of(flush(io)); });
  settle();
  b().reset();
  run_until([&] { return static_cast<bool>(code); });
  EXPECT_TRUE(code == std::errc::connection_reset || code == std::errc::broken_pipe);
}

}  // namespace
}  // namespace event_cpp::test
