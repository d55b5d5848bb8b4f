// Signals: what a child inherits of them, and how it is stopped.
#include <csignal>
#include <sstream>
#include <thread>

#include "net/processes.hpp"
#include "support/sanitizers.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using net::Command;
using net::Exit;
using net::Stdio;

class ProcessSignalsTest : public EveryStart {
 protected:
  // The bits of a line of /proc/self/status of the child.
  std::uint64_t bits_of(const char* name, Command command = Command("")) {
    command.program = "grep";
    command.arguments = {name, "/proc/self/status"};
    const std::string found = run(std::move(command)).out;
    return std::stoull(found.substr(found.find(':') + 1), nullptr, 16);
  }
  static std::uint64_t bit(int signo) { return std::uint64_t{1} << (signo - 1); }

  // A script that has said that it is ready, by its first line.
  std::unique_ptr<net::Process> started(Command command) {
    command.out = Stdio::pipe();
    auto process = std::make_unique<net::Process>(base, command);
    const auto first = [&]() -> Task<> {
      const net::Chunk chunk = co_await process->out().receive();
      line = std::string(chunk.text());
    };
    run(first());
    return process;
  }
  // Whether this system can signal a group whose first process has ended.
  bool finds_group_after_the_end() {
    auto process = started(Command::shell("sleep 1000 & echo $!"));
    const pid_t left = std::stoi(line);
    end_of(*process);
    const bool found = process->kill_group(0);
    ::kill(left, SIGKILL);
    return found;
  }
  std::string line;
};
ON_EVERY_START(ProcessSignalsTest);

TEST_P(ProcessSignalsTest, BlocksNoneInTheChild) {
  const Blocked all;
  if (!sees_blocked(backend())) unblock(SIGCHLD);  // the base is told of the end by it
  EXPECT_EQ(bits_of("SigBlk"), 0U);
  Command forked("");
  forked.umask = 022;  // by fork(2) where posix_spawn(3) is used
  EXPECT_EQ(bits_of("SigBlk", forked), 0U);
}

TEST_P(ProcessSignalsTest, LeavesTheMaskOfThisThreadAlone) {
  const Blocked usr1(SIGUSR1);
  sigset_t before;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
  run(Command("true"));
  static_cast<void>(error_of(Command("/nowhere")));
  sigset_t after;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int signo = 1; signo < 65; ++signo) {
    EXPECT_EQ(::sigismember(&before, signo), ::sigismember(&after, signo)) << signo;
  }
}

TEST_P(ProcessSignalsTest, EndsTheIgnoringOfSigpipeAndLeavesOthers) {
  const Disposition pipe(SIGPIPE, SIG_IGN);
  const Disposition usr1(SIGUSR1, SIG_IGN);
  for (const bool forks : {false, true}) {
    Command command("");
    if (forks) command.umask = 022;
    EXPECT_EQ(bits_of("SigIgn", command) & (bit(SIGPIPE) | bit(SIGUSR1)), bit(SIGUSR1));
    command.reset_ignored_signals = true;
    EXPECT_EQ(bits_of("SigIgn", command) & (bit(SIGPIPE) | bit(SIGUSR1)), 0U);
  }
  // Else this would be an error of yes.
  EXPECT_EQ(sh("yes | head -n 1").err, "");
}

// The child has our memory until its program runs: none of our handlers may run in it.
TEST_P(ProcessSignalsTest, RunsNoHandlerInTheChild) {
  static std::atomic<int> elsewhere;
  static pid_t self;
  elsewhere = 0;
  self = ::getpid();
  const Disposition handler(SIGUSR1, [](int) {
    if (::getpid() != self) ++elsewhere;
  });
  // To the whole group of this process, and so to each child at any time of its life.
  EXPECT_TRUE(succeeds_in_child([&] {
    ASSERT_EQ(::setpgid(0, 0), 0);
    self = ::getpid();
    base.after_fork();
    std::atomic<bool> done = false;
    std::thread storm([&] {
      while (!done) {
        ::kill(0, SIGUSR1);
        std::this_thread::yield();
      }
    });
    for (int i = 0; i < 200; ++i) {
      const net::Process process(base, Command("true"));
    }
    done = true;
    storm.join();
    EXPECT_EQ(elsewhere, 0);
    // It is still this process's.
    EXPECT_NE(action_of(SIGUSR1).handler, reinterpret_cast<std::uintptr_t>(SIG_DFL));
  }));
}

TEST_P(ProcessSignalsTest, AsksFirstAndThenKills) {
  auto process = started(Command::shell("trap '' TERM; echo; while :; do sleep 1000; done"));
  co::TaskGroup tasks(base);
  std::optional<Exit> exit;
  tasks.spawn([&]() -> Task<> {
    const Exit ended = co_await process->stop(5s);
    exit = ended;
  });
  settle();
  time.advance(4s);
  settle();
  EXPECT_FALSE(exit);
  EXPECT_FALSE(is_zombie_or_gone(process->pid()));
  time.advance(1s);
  run_until([&] { return exit.has_value(); });
  EXPECT_EQ(exit->signal, SIGKILL);
}

TEST_P(ProcessSignalsTest, StopsAChildThatEndsWhenItIsAsked) {
  auto process = started(Command::shell("trap 'exit 9' TERM; echo; while :; do sleep 0.01; done"));
  const Exit exit = run(process->stop(1000s));
  EXPECT_EQ(exit.code, 9);
  EXPECT_EQ(run(process->stop(1s)).code, 9);  // it has ended
}

// It takes no signal but SIGKILL until it goes on.
TEST_P(ProcessSignalsTest, StopsAChildThatIsStopped) {
  net::Process process(base, Command("sleep", {"1000"}));
  process.kill(SIGSTOP);
  await([&] {
    std::ifstream stat("/proc/" + std::to_string(process.pid()) + "/stat");
    std::string text;
    std::getline(stat, text);
    return text.find(") T") != std::string::npos;
  });
  EXPECT_EQ(run(process.stop(1000s)).signal, SIGTERM);
}

TEST_P(ProcessSignalsTest, GoesOnStoppingIfItsTaskIsCancelled) {
  auto process = started(Command::shell("trap '' TERM; echo; while :; do sleep 1000; done"));
  co::TaskGroup tasks(base);
  bool went_on = false;
  tasks.spawn([&]() -> Task<> {
    const Exit exit = co_await process->stop(5s);
    went_on = exit.signal == SIGKILL;
  });
  settle();
  tasks.cancel();
  settle();
  EXPECT_EQ(tasks.size(), 1U);
  time.advance(5s);
  run_until([&] { return tasks.size() == 0; });
  EXPECT_TRUE(went_on);
}

TEST_P(ProcessSignalsTest, StopsInATaskThatWasCancelledBefore) {
  auto process = started(Command::shell("trap 'exit 9' TERM; echo; while :; do sleep 0.01; done"));
  co::TaskGroup tasks(base);
  int code = 0;
  bool went_on = false;
  tasks.spawn([&]() -> Task<> {
    try {
      co_await co::sleep(1000h);
    } catch (const std::system_error&) {
      code = -1;
    }
    EXPECT_EQ(code, -1);
    const Exit exit = co_await process->stop(1000s);
    code = exit.code;
    co_await co::yield();
    went_on = true;
  });
  tasks.cancel();
  run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(code, 9);
  EXPECT_FALSE(went_on);
}

// Its grace is for the child alone. The time stands still here.
TEST_P(ProcessSignalsTest, KillsTheRestOfTheGroupAsSoonAsTheChildHasEnded) {
  auto process = started(Command::shell("sh -c 'trap \"\" TERM; echo $$; exec sleep 1000' & wait"));
  const pid_t child = std::stoi(line);
  EXPECT_EQ(run(process->stop(1000s)).signal, SIGTERM);
  if (!finds_group_after_the_end()) ::kill(child, SIGKILL);  // it has lived on
  await([&] { return is_zombie_or_gone(child); });
}

TEST_P(ProcessSignalsTest, MayBeDroppedWhileItStops) {
  auto process = started(Command::shell("trap '' TERM; echo; while :; do sleep 1000; done"));
  co::TaskGroup tasks(base);
  std::error_code code;
  tasks.spawn([&]() -> Task<> {
    try {
      co_await process->stop(5s);
    } catch (const std::system_error& error) {
      code = error.code();
    }
  });
  settle();
  process.reset();
  settle();
  EXPECT_EQ(tasks.size(), 0U);
  EXPECT_EQ(code, std::errc::operation_canceled);
  run_a_while_until([] { return has_no_child(); });
}

TEST_P(ProcessSignalsTest, StopsNobodyIfItWasDroppedBefore) {
  auto process = started(Command::shell("trap 'exit 3' TERM; echo; sleep 1000 & wait"));
  const pid_t pid = process->pid();
  Task<net::Exit> stop = process->stop(5s);
  process->detach();
  process.reset();
  const auto ignore = [](Task<net::Exit> task) -> Task<> { co_await std::move(task); };
  EXPECT_EQ(run(test::error_of(ignore(std::move(stop)))), std::errc::operation_canceled);
  EXPECT_FALSE(is_zombie_or_gone(pid));
  ::kill(-pid, SIGKILL);
  run_a_while_until([] { return has_no_child(); });
}

TEST_P(ProcessSignalsTest, SignalsTheGroupOfAShellAndItsChildAlone) {
  auto process = started(Command::shell("sleep 1000 & echo $!; wait"));
  const pid_t child = std::stoi(line);
  EXPECT_TRUE(process->kill(0));
  EXPECT_EQ(run(process->stop(1000s)).signal, SIGTERM);
  await([&] { return is_zombie_or_gone(child); });
}

TEST_P(ProcessSignalsTest, KillsTheGroupOfWhatIsDropped) {
  auto process = started(Command::shell("sleep 1000 & echo $!; wait"));
  const pid_t child = std::stoi(line);
  process.reset();
  await([&] { return is_zombie_or_gone(child); });
}

TEST_P(ProcessSignalsTest, FindsTheGroupOfAProcessThatEndedOnlyByItsDescriptor) {
  auto process = started(Command::shell("sleep 1000 & echo $!"));
  const pid_t child = std::stoi(line);
  end_of(*process);
  if (process->kill_group(0)) {
    EXPECT_TRUE(is_clone());
    EXPECT_TRUE(process->kill_group(SIGKILL));
    await([&] { return is_zombie_or_gone(child); });
    await([&] { return !process->kill_group(0); });
  } else {
    ::kill(child, SIGKILL);
  }
}

// The number of a group that is no more may be another's.
TEST_P(ProcessSignalsTest, HitsNobodyAfterTheEnd) {
  Command command("true");
  command.group = Command::Group::own;
  net::Process process(base, command);
  end_of(process);
  EXPECT_FALSE(process.kill(SIGKILL));
  EXPECT_FALSE(process.kill_group(SIGKILL));
}

}  // namespace
}  // namespace event_cpp::test
