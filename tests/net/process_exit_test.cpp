// The end of a child: who is told, who reaps it, and that nobody waits in vain.
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <csignal>
#include <thread>

#include "net/processes.hpp"
#include "support/failing_new.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using net::Command;
using net::Exit;
using net::Stdio;

Command sleeper() { return Command("sleep", {"1000"}); }

class ProcessExitTest : public EveryStart {};
ON_EVERY_START(ProcessExitTest);

TEST_P(ProcessExitTest, TellsCodesFromSignalsAndCores) {
  net::Process with_code(base, Command::shell("exit 255"));
  const Exit code = end_of(with_code);
  EXPECT_EQ(code.text(), "exited with 255");
  EXPECT_EQ(code.signal, 0);
  net::Process killed(base, sleeper());
  EXPECT_TRUE(killed.kill(SIGTERM));
  const Exit signal = end_of(killed);
  EXPECT_EQ(signal.text(), "killed by signal 15");
  EXPECT_EQ(signal.code, -1);
  EXPECT_FALSE(signal.success());
  EXPECT_TRUE(Exit::of(SIGSEGV | 0x80).dumped_core);
  EXPECT_FALSE(Exit::of(-1).known);
}

TEST_P(ProcessExitTest, TellsEveryTaskThatWaits) {
  net::Process process(base, Command::shell("read x; exit 4"));
  Command command = Command::shell("read x; exit 4");
  command.in = Stdio::pipe();
  process = net::Process(base, command);
  std::vector<int> codes;
  co::TaskGroup tasks(base);
  const auto wait = [&]() -> Task<> {
    const Exit exit = co_await process.wait();
    codes.push_back(exit.code);
  };
  tasks.spawn(wait);
  tasks.spawn(wait);
  settle();
  EXPECT_TRUE(codes.empty());
  EXPECT_FALSE(process.exit());
  process.in().close();
  run_until([&] { return tasks.size() == 0; });
  EXPECT_EQ(codes, (std::vector<int>{4, 4}));
  EXPECT_EQ(end_of(process).code, 4);  // and whoever asks later
  EXPECT_EQ(process.exit()->code, 4);
}

TEST_P(ProcessExitTest, LeavesOthersTheirTurnIfItIsToldOften) {
  net::Process process(base, Command("true"));
  bool others_ran = false;
  const auto asks = [](net::Process& of, Base& its, bool& ends) -> Task<int> {
    co_await of.wait();
    its.post([&ends] { ends = true; });
    int asked = 0;
    for (; asked < 1000 && !ends; ++asked) co_await of.wait();
    co_return asked;
  };
  EXPECT_LT(run(asks(process, base, others_ran)), 1000);
}

TEST_P(ProcessExitTest, CallsBackOnceAndLetsTheCallbackDestroyTheProcess) {
  int calls = 0;
  auto process = std::make_unique<net::Process>(base, Command("true"));
  process->on_exit([&](Exit exit) {
    EXPECT_TRUE(exit.success());
    ++calls;
    process.reset();
  });
  run_until([&] { return process == nullptr; });
  EXPECT_EQ(calls, 1);
  net::Process ended(base, Command("true"));
  end_of(ended);
  ended.on_exit([&](Exit) { ++calls; });
  EXPECT_EQ(calls, 1);  // never inside the call
  settle();
  EXPECT_EQ(calls, 2);
}

TEST_P(ProcessExitTest, IsDroppedWithACallbackThatOwnsItWhenThatIsRemoved) {
  auto owner = std::make_shared<net::Process>(base, sleeper());
  const std::weak_ptr<net::Process> still = owner;
  net::Process& process = *owner;
  process.on_exit([kept = std::move(owner)](Exit) {});
  process.on_exit({});
  EXPECT_TRUE(still.expired());
}

TEST_P(ProcessExitTest, LetsAnExceptionOfTheCallbackLeaveDispatch) {
  net::Process process(base, Command("true"));
  process.on_exit([](Exit) { throw std::runtime_error("mine"); });
  EXPECT_THROW(run_until([] { return false; }), std::runtime_error);
  EXPECT_TRUE(process.exit());
}

TEST_P(ProcessExitTest, KeepsTheBaseRunningWhileItRuns) {
  Command command = Command::shell("read x");
  command.in = Stdio::pipe();
  net::Process process(base, command);
  process.in().close();
  process.on_exit([](Exit) {});
  test::run(base);
  EXPECT_TRUE(process.exit());
}

TEST_P(ProcessExitTest, KillsAndReapsWhatIsDropped) {
  std::vector<pid_t> pids;
  const auto before = open_descriptors();
  for (int i = 0; i < 100; ++i) {
    Command command = sleeper();
    command.in = command.out = Stdio::pipe();
    const net::Process process(base, command);
    pids.push_back(process.pid());
  }
  test::run(base);  // they do not keep it
  run_a_while_until([] { return has_no_child(); });
  for (const pid_t pid : pids) EXPECT_TRUE(is_reaped(pid));
  settle();
  EXPECT_EQ(open_descriptors(), before);
}

TEST_P(ProcessExitTest, EndsTheWaitOfATaskWhoseProcessIsDropped) {
  std::optional<net::Process> process(std::in_place, base, sleeper());
  std::error_code code;
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> {
    try {
      co_await process->wait();
    } catch (const std::system_error& error) {
      code = error.code();
    }
  });
  settle();
  process.reset();
  settle();
  EXPECT_EQ(code, std::errc::operation_canceled);
  run_a_while_until([] { return has_no_child(); });
}

TEST_P(ProcessExitTest, LeavesTheChildAloneIfTheWaitIsCancelled) {
  net::Process process(base, sleeper());
  co::TaskGroup tasks(base);
  tasks.spawn([&]() -> Task<> { co_await process.wait(); });
  settle();
  tasks.cancel();
  settle();
  EXPECT_EQ(tasks.size(), 0U);
  EXPECT_TRUE(process.kill(0));
  EXPECT_FALSE(process.exit());
}

TEST_P(ProcessExitTest, LetsADetachedChildLive) {
  pid_t pid = 0;
  {
    net::Process process(base, sleeper());
    process.detach();
    pid = process.pid();
  }
  settle();
  EXPECT_FALSE(is_zombie_or_gone(pid));
  ::kill(pid, SIGKILL);
  run_a_while_until([&] { return is_reaped(pid); });
}

TEST_P(ProcessExitTest, ReapsChildrenWhoseBaseIsGoneWhenTheNextOneIsStarted) {
  std::optional<Base> other(std::in_place, options());
  std::optional<net::Process> process(std::in_place, *other, sleeper());
  const net::Process dropped_later(*other, sleeper());
  const pid_t pid = process->pid();
  { const net::Process dropped(*other, sleeper()); }
  other.reset();
  EXPECT_TRUE(process->kill(0));
  process.reset();
  await([&] { return is_zombie_or_gone(pid); });
  await([&] {
    const net::Process next(base, Command("true"));
    return is_reaped(pid);
  });
}

TEST_P(ProcessExitTest, ReapsChildrenWhoseBaseIsGoneAlsoIfThereWasNoMemoryThen) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  std::optional<Base> other(std::in_place, options());
  std::optional<net::Process> process(std::in_place, *other, sleeper());
  const pid_t pid = process->pid();
  ::kill(pid, SIGSTOP);  // so that it does not end at once
  {
    const FailingNew failing;
    process->detach();
    process.reset();
    other.reset();
  }
  ::kill(pid, SIGKILL);
  await([&] { return is_zombie_or_gone(pid); });
  await([&] {
    const net::Process next(base, Command("true"));
    return is_reaped(pid);
  });
}

TEST_P(ProcessExitTest, IsFalseToSignalAfterTheEnd) {
  net::Process process(base, Command("true"));
  end_of(process);
  EXPECT_FALSE(process.kill(SIGTERM));
  EXPECT_FALSE(process.kill(0));
  net::Process running(base, sleeper());
  EXPECT_TRUE(running.kill(0));
  EXPECT_THROW(running.kill(12345), std::system_error);
}

// A status that is lost is not 255, nor anything else that a program can say.
TEST_P(ProcessExitTest, SaysWhatIsKnownOfAChildThatOtherCodeHasReaped) {
  net::Process process(base, Command::shell("exit 5"));
  await([&] { return is_zombie_or_gone(process.pid()); });
  int status = 0;
  ASSERT_EQ(::waitpid(process.pid(), &status, 0), process.pid());
  const Exit exit = end_of(process);
  if (exit.known) {
    EXPECT_TRUE(is_clone());  // a kernel that tells by the pidfd
    EXPECT_EQ(exit.code, 5);
  } else {
    EXPECT_EQ(exit.code, -1);
  }
  EXPECT_FALSE(process.kill(SIGTERM));
}

TEST_P(ProcessExitTest, WorksWhileChildrenAreIgnored) {
  if (!is_clone()) GTEST_SKIP() << "without a pidfd from the start the child is gone before it";
  const Disposition ignored(SIGCHLD, SIG_IGN);
  for (int i = 0; i < 50; ++i) {
    net::Process process(base, Command("true"));
    const Exit exit = end_of(process);
    EXPECT_TRUE(exit.success() || !exit.known);
  }
}

TEST_P(ProcessExitTest, WorksWhereDescriptorsOfProcessesAreRefused) {
  if (!can_refuse_calls()) GTEST_SKIP() << "this kernel has no filters of system calls";
  EXPECT_TRUE(succeeds_in_child([&] {
    ASSERT_TRUE(refuse_calls({SYS_pidfd_open, SYS_pidfd_send_signal}, EPERM));
    base.after_fork();
    net::Process ended(base, Command::shell("exit 3"));
    EXPECT_EQ(end_of(ended).code, 3);
    net::Process killed(base, sleeper());
    EXPECT_TRUE(killed.kill(SIGTERM));
    EXPECT_EQ(end_of(killed).signal, SIGTERM);
    EXPECT_FALSE(killed.kill(SIGTERM));
  }));
}

// posix_spawn(3) uses another call, and gives no pidfd.
TEST_P(ProcessExitTest, WorksWhereCloneIsRefused) {
#ifdef SYS_clone3
  if (!is_clone()) GTEST_SKIP() << "that is what this way is";
  if (!can_refuse_calls()) GTEST_SKIP() << "this kernel has no filters of system calls";
  EXPECT_TRUE(succeeds_in_child([&] {
    ASSERT_TRUE(refuse_calls({SYS_clone}, EPERM));
    base.after_fork();
    net::Process process(base, Command::shell("exit 3"));
    EXPECT_EQ(end_of(process).code, 3);
  }));
#endif
}

// The base must neither wait for it nor spin until the one who traces it has seen the end.
TEST_P(ProcessExitTest, WaitsForATracedChildWithoutSpinning) {
  net::Process process(base, sleeper());
  const pid_t pid = process.pid();
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd go(ends[1]);
  const Fd wait(ends[0]);
  const pid_t tracer = ::fork();
  if (tracer == 0) {
    if (::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) != 0) ::_exit(77);
    ::kill(::getpid(), SIGSTOP);
    int status = 0;
    ::waitpid(pid, &status, __WALL);  // the signal
    ::ptrace(PTRACE_CONT, pid, nullptr, SIGTERM);
    char byte = 0;
    static_cast<void>(!::read(wait.get(), &byte, 1));
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(tracer, &status, WUNTRACED), tracer);
  if (WIFEXITED(status)) GTEST_SKIP() << "tracing is not allowed here";
  ::kill(tracer, SIGCONT);
  EXPECT_TRUE(process.kill(SIGTERM));
  await([&] { return is_zombie_or_gone(pid); });
  settle();
  EXPECT_FALSE(process.exit());
  const auto waits = base.stats().waits;
  base.after(10ms, [] {});
  time.advance(9ms);
  for (int i = 0; i < 20; ++i) base.loop(RunMode::nonblock);
  EXPECT_LE(base.stats().waits - waits, 25U);
  write_bytes(go);
  EXPECT_EQ(end_of(process).signal, SIGTERM);
  ::waitpid(tracer, nullptr, 0);
}

TEST_P(ProcessExitTest, KeepsChildrenOfSeveralBasesApart) {
  const auto work = [this](int number) {
    Base own(options());
    for (int i = 0; i < 20; ++i) {
      net::Process process(own, Command::shell("exit " + std::to_string(number)));
      const Exit exit = co::run(own, process.wait());
      EXPECT_EQ(exit.code, number);
    }
  };
  std::thread other(work, 7);
  work(8);
  other.join();
  // One of another's is left alone.
  const Process foreign(9);
  net::Process process(base, Command("true"));
  foreign.end();
  end_of(process);
  settle();
  EXPECT_EQ(foreign.reap(), "exited 9");
}

TEST_P(ProcessExitTest, MayBeMoved) {
  std::vector<net::Process> processes;
  for (int i = 0; i < 10; ++i) {
    processes.emplace_back(base, Command::shell("exit " + std::to_string(i)));
  }
  Task<Exit> wait = processes[3].wait();
  net::Process moved = std::move(processes[3]);
  EXPECT_EQ(run(std::move(wait)).code, 3);
  processes.clear();
  run_a_while_until([] { return has_no_child(); });
}

TEST_P(ProcessExitTest, MayBeMovedToItself) {
  net::Process process(base, Command("sleep", {"1000"}));
  net::Process& same = process;
  process = std::move(same);
  EXPECT_TRUE(process.kill(SIGTERM));
  EXPECT_EQ(end_of(process).signal, SIGTERM);
}

}  // namespace
}  // namespace event_cpp::test
