// Children: how they ended, told once, through a descriptor of the process or through SIGCHLD.
#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <thread>

#include "support/children.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class ChildTest : public Children {};
WITH_AND_WITHOUT_PROCESS_FDS(ChildTest);

TEST_P(ChildTest, TellsOnceHowItExited) {
  expect([] {
    for (const int status : {0, 3, 255}) {
      Base base(options());
      const Process process(status);
      Told statuses;
      Child child(base, process.pid(), note(statuses));
      child.attach();
      EXPECT_TRUE(child.attached());
      EXPECT_EQ(child.pid(), process.pid());
      EXPECT_EQ(base.size(), 1U);
      EXPECT_EQ(base.loop(RunMode::nonblock), 0U);

      process.end();
      run(base);

      EXPECT_EQ(statuses, Told{"exited " + std::to_string(status)});
      EXPECT_FALSE(child.attached());
      EXPECT_EQ(base.size(), 0U);
      EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
    }
  });
}

TEST_P(ChildTest, TellsWhichSignalKilledIt) {
  expect([] {
    for (const int signo : {SIGKILL, SIGTERM}) {
      Base base(options());
      const Process process;
      Told statuses;
      Child child(base, process.pid(), note(statuses));
      child.attach();

      process.kill(signo);
      run(base);

      EXPECT_EQ(statuses, Told{"killed " + std::to_string(signo)});
    }
  });
}

TEST_P(ChildTest, IsReaped) {
  expect([] {
    Base base(options());
    const Process process;
    Child child(base, process.pid(), [&] { EXPECT_FALSE(process.reapable()); });
    child.attach();

    process.end();
    run(base);

    EXPECT_EQ(::waitpid(process.pid(), nullptr, WNOHANG), -1);
    EXPECT_EQ(errno, ECHILD);
    EXPECT_EQ(child.try_attach(), system_error(ECHILD)) << "this one will not end again";
  });
}

TEST_P(ChildTest, MayHaveEndedBeforeItIsAttached) {
  expect([] {
    Base base(options());
    const Process process(7);
    process.end_now();
    Told statuses;
    Child child(base, process.pid(), note(statuses));

    child.attach();
    EXPECT_EQ(statuses, Told{}) << "callbacks run in the loop";
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

    EXPECT_EQ(statuses, Told{"exited 7"});
    EXPECT_FALSE(process.reapable());
  });
}

TEST_P(ChildTest, WakesABaseThatSleeps) {
  expect([] {
    Base base(options());
    const Process process(1);
    Told statuses;
    Child child(base, process.pid(), note(statuses));
    child.attach();
    std::thread other([&, loop = this_thread()] {
      await_sleep_of(loop);
      process.end();
    });

    run(base);
    other.join();

    EXPECT_EQ(statuses, Told{"exited 1"});
  });
}

TEST_P(ChildTest, ThatIsStoppedHasNotEnded) {
  expect([] {
    Base base(options());
    const Process process(5);
    Told statuses;
    Child child(base, process.pid(), note(statuses));
    child.attach();
    siginfo_t info{};
    const auto id = static_cast<id_t>(process.pid());

    process.kill(SIGSTOP);
    static_cast<void>(uninterrupted([&] { return ::waitid(P_PID, id, &info, WSTOPPED); }));
    base.loop(RunMode::nonblock);
    process.kill(SIGCONT);
    static_cast<void>(uninterrupted([&] { return ::waitid(P_PID, id, &info, WCONTINUED); }));
    base.loop(RunMode::nonblock);
    EXPECT_EQ(statuses, Told{});
    EXPECT_TRUE(child.attached());

    process.end();
    run(base);
    EXPECT_EQ(statuses, Told{"exited 5"});
  });
}

TEST_P(ChildTest, TellsItsOwnStatusHoweverManyEndAtOnce) {
  expect([] {
    constexpr int kMany = 40;
    Base base(options());
    std::deque<Process> processes;
    std::deque<Child> children;
    std::map<int, Told> statuses;
    for (int i = 0; i < kMany; ++i) {
      const pid_t pid = processes.emplace_back(i).pid();
      children
          .emplace_back(base, pid,
                        [&statuses, i](int status) { statuses[i].push_back(told(status)); })
          .attach();
    }

    for (const Process& process : processes) process.end();
    for (const Process& process : processes) process.await_end();
    run(base);

    EXPECT_EQ(statuses.size(), static_cast<std::size_t>(kMany));
    for (const auto& [i, told_to_it] : statuses) {
      EXPECT_EQ(told_to_it, Told{"exited " + std::to_string(i)});
    }
    for (const Process& process : processes) EXPECT_FALSE(process.reapable());
  });
}

TEST_P(ChildTest, ThatRunsOnIsNotDisturbedByOthersThatEnd) {
  expect([] {
    Base base(options());
    const Process lasting(1);
    const Process ending(2);
    const Process foreign(3);
    Told statuses;
    Child first(base, lasting.pid(), note(statuses));
    Child second(base, ending.pid(), note(statuses));
    first.attach();
    second.attach();

    foreign.end_now();
    base.loop(RunMode::nonblock);
    EXPECT_EQ(statuses, Told{});
    ending.end_now();
    base.loop(RunMode::nonblock);
    EXPECT_EQ(statuses, Told{"exited 2"});
    EXPECT_TRUE(first.attached());
    EXPECT_EQ(foreign.reap(), "exited 3") << "nobody else's children are reaped";
    lasting.end();
    run(base);
    EXPECT_EQ(statuses, (Told{"exited 2", "exited 1"}));
  });
}

TEST_P(ChildTest, IsToldOfToEveryFormOfCallback) {
  expect([] {
    Base base(options());
    const Process first(1);
    const Process second(2);
    int status = 0, called = 0;
    Child with(base, first.pid(), [&](int s) { status = s; });
    Child without(base, second.pid(), [&] { ++called; });
    with.attach();
    without.attach();

    first.end();
    second.end();
    run(base);

    EXPECT_EQ(told(status), "exited 1");
    EXPECT_EQ(called, 1);
  });
}

// SIGCHLD.

TEST_P(ChildTest, LeavesSigchldAloneOrGivesItBack) {
  expect([] {
    for (void (*const former)(int) : {SIG_DFL, &count_stray}) {
      const Disposition on_child(SIGCHLD, restarting(former));
      const auto before = action_of(SIGCHLD);
      Base base(options());
      const Process first, second, third;
      Child fired(base, first.pid(), [] {});
      Child detached(base, second.pid(), [] {});
      std::optional<Child> destroyed(std::in_place, base, third.pid(), [] {});
      const auto expect_while_attached = [&] {
        if (by_descriptor()) {
          EXPECT_EQ(action_of(SIGCHLD), before);
        } else {
          EXPECT_NE(action_of(SIGCHLD), before);
        }
      };
      strays = 0;

      fired.attach();
      detached.attach();
      destroyed->attach();
      expect_while_attached();
      first.end_now();
      run(base, RunMode::once);
      EXPECT_FALSE(fired.attached());
      expect_while_attached();
      EXPECT_EQ(strays, by_descriptor() && former == &count_stray ? 1 : 0);
      detached.detach();
      expect_while_attached();
      destroyed.reset();
      EXPECT_EQ(action_of(SIGCHLD), before);

      Child last(base, second.pid(), [] {});
      last.attach();
      second.end();
      run(base);
      EXPECT_EQ(action_of(SIGCHLD), before) << "it is given back once the callback has run";
    }
  });
}

TEST_P(ChildTest, SharesSigchldWithItsOtherEvents) {
  expect([] {
    Base base(options());
    const Process process(4);
    Told statuses;
    int signals = 0;
    Signal signal(base, SIGCHLD, [&] { ++signals; });
    signal.keep_alive(false);
    Child child(base, process.pid(), note(statuses));
    signal.attach();
    child.attach();

    process.end_now();
    run(base);

    EXPECT_EQ(statuses, Told{"exited 4"});
    EXPECT_EQ(signals, 1);
  });
}

TEST_P(ChildTest, EndsAlsoIfSigchldIsIgnored) {
  expect([] {
    const Disposition ignored(SIGCHLD, restarting(SIG_IGN));
    Base base(options());
    const Process process(4);
    Told statuses;
    Child child(base, process.pid(), note(statuses));
    child.attach();

    process.end();
    run(base);

    EXPECT_EQ(statuses, Told{by_descriptor() ? "unknown" : "exited 4"});
    EXPECT_FALSE(child.attached());
    EXPECT_FALSE(process.reapable());
  });
}

TEST_P(ChildTest, EndsAlsoIfEveryThreadBlocksSigchld) {
  if (!sees_blocked(backend())) GTEST_SKIP() << "this backend cannot tell of blocked signals";
  expect([] {
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before);
    Base base(options());
    const Process process(4);
    Told statuses;
    Child child(base, process.pid(), note(statuses));
    child.attach();
    process.end();
    run(base);
    EXPECT_EQ(statuses, Told{"exited 4"});
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  });
}

}  // namespace
}  // namespace event_cpp::test
