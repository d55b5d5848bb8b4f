// run(): what a program writes, all of it, and nothing waits for ever.
#include <csignal>
#include <memory>
#include <optional>
#include <string>

#include "net/processes.hpp"
#include "support/failing_new.hpp"
#include "support/forked.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using net::Command;
using net::Outcome;
using net::RunOptions;
using net::Stdio;

class ProcessRunTest : public EveryStart {
 protected:
  static constexpr std::size_t kMega = std::size_t{1} << 20;

  std::uint64_t callbacks() const { return base.stats().callbacks[1]; }
  // The program has ended: only then there is a timer.
  bool is_lingering() const { return base.next_timeout().value_or(0s) > 0s; }
};
ON_EVERY_START(ProcessRunTest);

TEST_P(ProcessRunTest, ReturnsWhatWasWrittenAndHowItEnded) {
  const Outcome outcome = sh("echo out; echo err >&2; exit 3");
  EXPECT_EQ(outcome.out, "out\n");
  EXPECT_EQ(outcome.err, "err\n");
  EXPECT_TRUE(outcome.exited.known);
  EXPECT_EQ(outcome.exited.code, 3);
  EXPECT_FALSE(outcome.exited.success());
  EXPECT_FALSE(outcome.truncated);
  EXPECT_FALSE(outcome.abandoned);
  EXPECT_TRUE(has_no_child());
}

TEST_P(ProcessRunTest, GivesEachArgumentAsItIs) {
  const Outcome outcome = run(Command("printf", {"<%s>", "a b", "$HOME;", "", "\"'"}));
  EXPECT_EQ(outcome.out, "<a b><$HOME;><><\"'>");
}

TEST_P(ProcessRunTest, ReadsOnAfterTheEndUntilThePipesEnd) {
  // The program ends with a megabyte in the hands of a process that it has left behind.
  const Outcome outcome = sh("head -c 1048576 /dev/zero | cat & exit 0");
  EXPECT_EQ(outcome.out.size(), kMega);
  EXPECT_FALSE(outcome.abandoned);
}

TEST_P(ProcessRunTest, AbandonsAPipeThatNobodyWritesToAfterTheEnd) {
  co::TaskGroup tasks(base);
  std::optional<Outcome> outcome;
  RunOptions options;
  options.linger = 10s;
  tasks.spawn([&]() -> Task<> {
    Outcome ended = co_await net::run(Command::shell("echo $$; sleep 1000 & exit 0"), options);
    outcome = std::move(ended);
  });
  // When the program has ended there is a timer.
  run_a_while_until([&] { return is_lingering(); });
  time.advance(9s);
  settle();
  EXPECT_FALSE(outcome);
  time.advance(1s);
  run_a_while_until([&] { return outcome.has_value(); });
  EXPECT_TRUE(outcome->abandoned);
  EXPECT_EQ(outcome->exited.code, 0);
  ASSERT_GT(outcome->out.size(), 1U);
  // What it has started in the background lives on.
  const int group = std::stoi(outcome->out);
  EXPECT_EQ(::kill(-group, 0), 0);
  ::kill(-group, SIGKILL);
}

TEST_P(ProcessRunTest, ReadsOnWhileSomebodyStillWritesAfterTheEnd) {
  co::TaskGroup tasks(base);
  std::optional<Outcome> outcome;
  RunOptions options;
  options.linger = 10s;
  Pipe feed = make_pipe();
  ::fcntl(feed.reader.get(), F_SETFL, 0);  // cat is not used to descriptors that do not block
  Command command = Command::shell("cat <&5 & exit 0");
  command.descriptors[5] = feed.reader.get();
  command.err = Stdio::null();
  tasks.spawn([&]() -> Task<> {
    Outcome ended = co_await net::run(command, options);
    outcome = std::move(ended);
  });
  run_a_while_until([&] { return is_lingering(); });
  feed.reader.close();
  for (int i = 0; i < 5; ++i) {
    time.advance(6s);
    settle();
    ASSERT_FALSE(outcome);
    const std::uint64_t before = callbacks();
    write_bytes(feed.writer);
    run_a_while_until([&] { return callbacks() > before; });
  }
  feed.writer.close();
  run_until([&] { return outcome.has_value(); });
  EXPECT_EQ(outcome->out.size(), 5U);
  EXPECT_FALSE(outcome->abandoned);
}

TEST_P(ProcessRunTest, DrainsBothStreamsAtOnce) {
  const Outcome outcome =
      sh("head -c 1048576 /dev/zero >&2; head -c 1048576 /dev/zero; head -c 9 /dev/zero >&2");
  EXPECT_EQ(outcome.out.size(), kMega);
  EXPECT_EQ(outcome.err.size(), kMega);
  EXPECT_TRUE(outcome.truncated);  // of stderr there is no more than a megabyte
}

TEST_P(ProcessRunTest, DropsWhatGoesBeyondTheLimitAndReadsOn) {
  RunOptions options;
  options.most_out = 1000;
  const Outcome outcome = sh("yes | head -c 10000000; echo done >&2", options);
  EXPECT_EQ(outcome.out.size(), 1000U);
  EXPECT_EQ(outcome.out.substr(0, 4), "y\ny\n");
  EXPECT_EQ(outcome.err, "done\n");
  EXPECT_TRUE(outcome.truncated);
  EXPECT_EQ(outcome.exited.code, 0);
}

TEST_P(ProcessRunTest, FeedsInputWhileItReadsOutput) {
  RunOptions options;
  for (int i = 0; options.input.size() < 10 * kMega; ++i) options.input += std::to_string(i);
  const Outcome outcome = run(Command("cat"), options);
  EXPECT_TRUE(outcome.out == options.input);
}

TEST_P(ProcessRunTest, IgnoresThatAProgramDoesNotReadItsInput) {
  const Disposition counted(SIGPIPE, &count_stray);
  strays = 0;
  RunOptions options;
  options.input.assign(kMega, 'x');
  const Outcome outcome = run(Command("true"), options);
  EXPECT_TRUE(outcome.exited.success()) << outcome.exited.text();
  EXPECT_FALSE(outcome.abandoned);
  EXPECT_EQ(strays, 0);
}

TEST_P(ProcessRunTest, EndsTheInputOfAProgramThatIsGivenNone) {
  EXPECT_EQ(run(Command("cat")).out, "");
}

TEST_P(ProcessRunTest, LeavesStreamsToTheCommandThatSaysSo) {
  Command command = Command::shell("echo out; echo err >&2");
  command.err = Stdio::out();
  EXPECT_EQ(run(command).out, "out\nerr\n");
  command.out = Stdio::null();
  command.err = Stdio::pipe();
  const Outcome outcome = run(command);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "err\n");
}

TEST_P(ProcessRunTest, LeavesStandardStreamsToTheDescriptorsOfTheCommand) {
  const Directory directory;
  const int in = ::open(directory.add("in", "from a file\n").c_str(), O_RDONLY);
  const int out = ::open(directory.path("out").c_str(), O_WRONLY | O_CREAT, 0600);
  Command command = Command::shell("cat; echo err >&2");
  command.descriptors = {{0, in}, {1, out}, {2, out}};
  for (Stdio* const stdio : {&command.in, &command.out, &command.err}) {
    RunOptions options;
    options.input = "not read";
    const Outcome outcome = run(command, options);
    EXPECT_TRUE(outcome.exited.success()) << outcome.exited.text();
    EXPECT_EQ(outcome.out + outcome.err, "");
    *stdio = Stdio::pipe();  // it goes behind them
  }
  EXPECT_EQ(directory.text("out"), "from a file\nerr\nerr\nerr\n");
  ::close(in);
  ::close(out);
}

TEST_P(ProcessRunTest, EndsTheProgramIfThereIsNoMemoryForItsOutput) {
  const Command command("head", {"-c", "1000000", "/dev/zero"});
  bool failed = true;
  bool was_reported = false;
  for (std::size_t allowed = 0; failed; ++allowed) {
    ASSERT_LT(allowed, 1000U);
    co::TaskGroup tasks(base);
    tasks.spawn([&]() -> Task<> {
      try {
        co_await net::run(command);
      } catch (const std::bad_alloc&) {
        was_reported = true;
      }
    });
    {
      const Bounded bounded(base);
      const FailingNew failing(allowed);
      while (tasks.size() > 0 && failing.failures() == 0) base.loop(RunMode::once);
      failed = failing.failures() > 0;
    }
    run_until([&] { return tasks.size() == 0; });
    run_a_while_until([] { return has_no_child(); });
  }
  EXPECT_EQ(was_reported, FailingNew::works());
}

#ifdef __linux__
// In a child, as the kernel refuses for good, and refuses the program as well.

TEST_P(ProcessRunTest, SaysThatOutputCannotBeRead) {
  if (!can_refuse_calls()) GTEST_SKIP() << "this kernel has no filters of system calls";
  EXPECT_TRUE(succeeds_in_child([&] {
    ASSERT_TRUE(refuse_calls({SYS_read}, EIO));
    base.after_fork();
    try {
      run(Command("sleep", {"1000"}));
      ADD_FAILURE() << "nothing was said";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::io_error);
    }
  }));
}

TEST_P(ProcessRunTest, SaysThatInputCannotBeWritten) {
  if (!can_refuse_calls()) GTEST_SKIP() << "this kernel has no filters of system calls";
  for (const int refusal : {ENOMEM, ENOSPC}) {
    EXPECT_TRUE(succeeds_in_child([&] {
      ASSERT_TRUE(refuse_calls({SYS_pwritev2, SYS_writev}, refusal));
      base.after_fork();
      RunOptions options;
      options.input = "all of it\n";
      try {
        run(Command("cat"), options);
        ADD_FAILURE() << "nothing was said";
      } catch (const std::bad_alloc&) {
        EXPECT_EQ(refusal, ENOMEM);
      } catch (const std::system_error& error) {
        EXPECT_EQ(error.code(), std::error_code(refusal, std::system_category()));
      }
    }));
  }
}
#endif

TEST_P(ProcessRunTest, KillsTheWholeGroupIfItIsCancelled) {
  const Directory directory;
  Command command = Command::shell("sleep 1000 & echo $! > pid; mv pid child; wait");
  command.directory = directory.path();
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> { co_await net::run(command); });
  run_a_while_until([&] { return !directory.text("child").empty(); });
  const pid_t grandchild = std::stoi(directory.text("child"));
  tasks.cancel();
  settle();
  EXPECT_EQ(tasks.size(), 0U);
  await([&] { return is_zombie_or_gone(grandchild); });
  run_a_while_until([] { return has_no_child(); });
}

TEST_P(ProcessRunTest, LeavesTheProgramAloneIfTheChildOfAForkDestroysTheTask) {
  auto tasks = std::make_unique<co::TaskGroup>(base);
  std::optional<Outcome> outcome;
  RunOptions options;
  options.input = std::string(kMega, 'x');
  tasks->spawn([&]() -> Task<> {
    Outcome ended = co_await net::run(Command::shell("wc -c"), options);
    outcome = std::move(ended);
  });
  EXPECT_TRUE(succeeds_in_child([&] { tasks.reset(); }));
  run_until([&] { return outcome.has_value(); });
  EXPECT_TRUE(outcome->exited.success()) << outcome->exited.text();
  EXPECT_EQ(std::stoul(outcome->out), kMega);
}

TEST_P(ProcessRunTest, EndsAtATimeLimit) {
  std::error_code code;
  const Command command("sleep", {"1000"});
  const auto limited = [&]() -> Task<> {
    try {
      co_await co::with_timeout(5s, net::run(command));
    } catch (const std::system_error& error) {
      code = error.code();
    }
  };
  co::TaskGroup tasks(base);
  tasks.spawn(limited);
  settle();
  EXPECT_EQ(tasks.size(), 1U);
  time.advance(5s);
  settle();
  EXPECT_EQ(tasks.size(), 0U);
  EXPECT_EQ(code, std::errc::timed_out);
  run_a_while_until([] { return has_no_child(); });
}

TEST_P(ProcessRunTest, AsksItToEndFirstIfItIsGivenTimeForThat) {
  const Directory directory;
  Command command = Command::shell(
      "trap 'echo > asked; exit 0' TERM; echo > ready; while :; do sleep 0.01; done");
  command.directory = directory.path();
  RunOptions options;
  options.grace = 5s;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> { co_await net::run(command, options); });
  run_a_while_until([&] { return !directory.text("ready").empty(); });
  tasks.cancel();
  run_a_while_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(directory.text("asked"), "\n");
  EXPECT_TRUE(has_no_child());
}

TEST_P(ProcessRunTest, ReturnsWhatWasWrittenWhenTheLimitHasPassed) {
  const Directory directory;
  for (const Duration grace : {Duration(0), Duration(5s)}) {
    Command command = Command::shell("echo out; echo err >&2; echo > ready; sleep 1000; echo late");
    command.directory = directory.path();
    RunOptions options;
    options.limit = 1s;
    options.grace = grace;
    net::Outcome outcome;
    co::TaskGroup tasks(base);
    tasks.spawn([&]() -> Task<> { outcome = co_await net::run(command, options); });
    run_a_while_until([&] { return !directory.text("ready").empty(); });
    std::filesystem::remove(directory.path("ready"));
    time.advance(999ms);
    settle();
    EXPECT_EQ(tasks.size(), 1U);
    time.advance(1ms);
    run_a_while_until([&] { return tasks.size() == 0; });
    EXPECT_TRUE(outcome.timed_out);
    EXPECT_EQ(outcome.exited.text(), grace > 0s ? "killed by signal 15" : "killed by signal 9");
    EXPECT_EQ(outcome.out, "out\n");
    EXPECT_EQ(outcome.err, "err\n");
    EXPECT_TRUE(has_no_child());
  }
}

// What the program has started goes on writing, in a session of its own: no signal reaches it.
TEST_P(ProcessRunTest, EndsSoonAfterTheLimitWhoeverWritesOn) {
  for (const bool times_out : {false, true}) {
    Pipe feed = make_pipe();
    ::fcntl(feed.reader.get(), F_SETFL, 0);  // cat is not used to descriptors that do not block
    Command command =
        Command::shell(times_out ? "setsid cat <&5 & sleep 1000" : "setsid cat <&5 &");
    command.descriptors[5] = feed.reader.get();
    command.err = Stdio::null();
    RunOptions options;
    options.limit = 10s;
    options.linger = 3s;
    std::optional<Outcome> outcome;
    co::TaskGroup tasks(base);
    tasks.spawn([&]() -> Task<> {
      Outcome ended = co_await net::run(command, options);
      outcome = std::move(ended);
    });
    const auto pass_on_a_byte = [&] {
      const std::uint64_t before = callbacks();
      write_bytes(feed.writer);
      run_a_while_until([&] { return callbacks() > before; });
    };
    const auto await_the_end = [&] {
      run_a_while_until([&] { return has_no_child(); });
      settle();
    };
    if (!times_out) await_the_end();
    pass_on_a_byte();
    if (times_out) {
      time.advance(10s);
      await_the_end();
    }
    // Three seconds after the limit.
    const int steps = times_out ? 1 : 6;
    for (int i = 0; i < steps; ++i) {
      time.advance(2s);
      settle();
      ASSERT_FALSE(outcome);
      pass_on_a_byte();
    }
    time.advance(1s);
    run_until([&] { return outcome.has_value(); });
    EXPECT_EQ(outcome->timed_out, times_out);
    EXPECT_TRUE(outcome->abandoned);
    EXPECT_EQ(outcome->out.size(), static_cast<std::size_t>(steps) + 1);
  }
}

TEST_P(ProcessRunTest, StartsNothingInACancelledTask) {
  std::error_code code;
  co::TaskGroup group(base);
  group.spawn([&]() -> Task<> {
    try {
      co_await co::sleep(1h);
    } catch (const std::system_error&) {
      // It is cancelled.
    }
    try {
      const net::Outcome none = co_await net::run(Command("/no such program"));
    } catch (const std::system_error& error) {
      code = error.code();
      throw;
    }
  });
  group.cancel();
  run_until([&] { return group.size() == 0; });
  EXPECT_EQ(code, std::errc::operation_canceled);
}

TEST_P(ProcessRunTest, HasNotTimedOutIfItEndsBeforeTheLimit) {
  RunOptions options;
  options.limit = 1s;
  const net::Outcome outcome = run(Command("true"), options);
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_TRUE(outcome.exited.success());
}

TEST_P(ProcessRunTest, IsKilledIfItIsCancelledAfterTheLimit) {
  const Directory directory;
  Command command = Command::shell("trap '' TERM; echo > ready; while :; do sleep 0.01; done");
  command.directory = directory.path();
  RunOptions options;
  options.limit = 1s;
  options.grace = 5s;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> { co_await net::run(command, options); });
  run_a_while_until([&] { return !directory.text("ready").empty(); });
  time.advance(1s);
  settle();
  tasks.cancel();
  settle();
  EXPECT_EQ(tasks.size(), 1U);  // the grace goes on
  time.advance(5s);
  run_a_while_until([&] { return tasks.size() == 0; });
  EXPECT_TRUE(has_no_child());
}

// Nothing that is left of the group knows that its first process was reaped.
TEST_P(ProcessRunTest, KillsWhatIsLeftOfTheGroupWhileItLingers) {
  if (!is_clone()) GTEST_SKIP() << "a group without its first process has no descriptor here";
  const Directory directory;
  Command command = Command::shell("sleep 1000 & echo $! > pid; mv pid child; exit 0");
  command.directory = directory.path();
  RunOptions options;
  options.linger = 10s;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> { co_await net::run(command, options); });
  run_a_while_until([&] { return is_lingering(); });
  const pid_t grandchild = std::stoi(directory.text("child"));
  EXPECT_TRUE(has_no_child());
  tasks.cancel();
  settle();
  await([&] { return is_zombie_or_gone(grandchild); });
}

// It keeps the pipe, and nobody can find it: the silence ends the wait.
TEST_P(ProcessRunTest, AbandonsWhatHasLeftTheGroup) {
  const Directory directory;
  Command command = Command::shell("setsid sleep 1000 & echo $! > pid; mv pid child; exit 0");
  command.directory = directory.path();
  RunOptions options;
  options.linger = 0s;
  const auto outcome = [&] {
    std::optional<Outcome> ended;
    co::TaskGroup tasks(base);
    tasks.spawn([&]() -> Task<> {
      Outcome result = co_await net::run(command, options);
      ended = std::move(result);
    });
    run_a_while_until([&] {
      time.advance(1ns);
      return ended.has_value();
    });
    return std::move(*ended);
  }();
  EXPECT_TRUE(outcome.abandoned);
  ::kill(std::stoi(directory.text("child")), SIGKILL);
}

TEST_P(ProcessRunTest, RunsManyAtOnce) {
  int ended = 0;
  co::TaskGroup tasks(base);
  const auto one = [&](int number) -> Task<> {
    const Command command("echo", {std::to_string(number)});
    const Outcome outcome = co_await net::run(command);
    if (outcome.out == std::to_string(number) + '\n') ++ended;
  };
  for (int i = 0; i < 50; ++i) tasks.spawn(one, i);
  run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(ended, 50);
  EXPECT_TRUE(has_no_child());
}

}  // namespace
}  // namespace event_cpp::test
