// Children that are sent signals, that stop and go on, and what they do before exec(3).
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>

#include "support/children.hpp"
#include "support/sanitizers.hpp"

namespace event_cpp::test {
namespace {

class ChildControlTest : public Children {};
WITH_AND_WITHOUT_PROCESS_FDS(ChildControlTest);

// Sending signals.

TEST_P(ChildControlTest, IsSentSignals) {
  expect([] {
    Base base(options());
    const Process process;
    Told statuses;
    Child child(base, process.pid(), note(statuses));
    child.attach();

    EXPECT_EQ(child.try_kill(0), std::error_code());
    child.kill(SIGTERM);
    run(base);

    EXPECT_EQ(statuses, Told{"killed " + std::to_string(SIGTERM)});
  });
}

TEST_P(ChildControlTest, IsSentSignalsOnlyWhileItIsAttached) {
  expect([] {
    Base base(options());
    const Process process(3);
    Child child(base, process.pid(),
                [&] { EXPECT_EQ(child.try_kill(SIGKILL), system_error(ESRCH)) << "it is reaped"; });
    EXPECT_EQ(child.try_kill(SIGKILL), system_error(ESRCH));
    child.attach();
    child.detach();
    EXPECT_EQ(child.try_kill(SIGKILL), system_error(ESRCH));
    child.attach();
    process.end_now();
    EXPECT_EQ(child.try_kill(SIGKILL), std::error_code()) << "it takes any, without effect";
    EXPECT_EQ(run(base), 1U);
    try {
      child.kill(SIGKILL);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), system_error(ESRCH));
      EXPECT_NE(std::string(error.what()).find("process " + std::to_string(process.pid())),
                std::string::npos)
          << error.what();
    }
  });
}

TEST_P(ChildControlTest, IsNotSentSignalsOnceSomebodyElseHasReapedIt) {
  expect([] {
    Base base(options());
    const Process process(3);
    Child child(base, process.pid(), [] {});
    child.attach();
    process.end();
    process.reap();
    EXPECT_EQ(child.try_kill(SIGKILL), system_error(ESRCH));
    run(base);
  });
}

TEST_P(ChildControlTest, IsNotSentSignalsThatAreNone) {
  expect([] {
    Base base(options());
    const Process process(3);
    Child child(base, process.pid(), [] {});
    child.attach();
    EXPECT_EQ(child.try_kill(1000), system_error(EINVAL));
    EXPECT_EQ(child.try_kill(-1), system_error(EINVAL));
  });
}

#if defined(SYS_pidfd_send_signal)

TEST_P(ChildControlTest, IsSentSignalsByIdWhereAFilterRefusesDescriptors) {
  if (refusal() != 0) GTEST_SKIP() << "there is no descriptor";
  if (!can_refuse_calls()) {
    GTEST_SKIP() << "this kernel has no filters of system calls";
  }
  for (const int error : {ENOSYS, EPERM}) {
    EXPECT_TRUE(succeeds_in_child([&] {
      ASSERT_TRUE(refuse_calls({SYS_pidfd_send_signal}, error));
      Base base(options());
      const Process process, reaped;
      Told statuses;
      Child child(base, process.pid(), note(statuses));
      Child gone(base, reaped.pid(), [] {});
      child.attach();
      gone.attach();
      reaped.end();
      reaped.reap();
      EXPECT_EQ(gone.try_kill(SIGKILL), system_error(ESRCH));
      gone.detach();
      child.kill(SIGTERM);
      run(base);
      EXPECT_EQ(statuses, Told{"killed " + std::to_string(SIGTERM)});
    }));
  }
}

#endif

// Stopping and going on.

TEST_P(ChildControlTest, TellsOnRequestThatItWasStoppedAndWentOn) {
  expect([] {
    const auto before = action_of(SIGCHLD);
    Base base(options());
    const Process process(5);
    Told statuses;
    Child child(base, process.pid(), note(statuses));
    child.attach(Child::Report::stops);

    for (int i = 0; i < 2; ++i) {
      child.kill(SIGSTOP);
      EXPECT_EQ(run(base, RunMode::once), 1U);
      EXPECT_TRUE(child.attached());
      child.kill(SIGCONT);
      EXPECT_EQ(run(base, RunMode::once), 1U);
      EXPECT_TRUE(child.attached());
    }
    child.kill(SIGSTOP);  // of the signals that stop, the one that no process group is exempt from
    run(base, RunMode::once);
    child.kill(SIGKILL);
    run(base);

    const std::string stopped = "stopped " + std::to_string(SIGSTOP);
    EXPECT_EQ(statuses, (Told{stopped, "continued", stopped, "continued", stopped,
                              "killed " + std::to_string(SIGKILL)}));
    EXPECT_FALSE(child.attached());
    EXPECT_EQ(action_of(SIGCHLD), before);
  });
}

TEST_P(ChildControlTest, TellsOnRequestOfAStopBeforeTheAttach) {
  expect([] {
    Base base(options());
    const Process process(5);
    process.kill(SIGSTOP);
    siginfo_t info{};
    const auto id = static_cast<id_t>(process.pid());
    static_cast<void>(
        uninterrupted([&] { return ::waitid(P_PID, id, &info, WSTOPPED | WNOWAIT); }));
    Told statuses;
    Child child(base, process.pid(), note(statuses));

    child.attach(Child::Report::stops);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

    EXPECT_EQ(statuses, Told{"stopped " + std::to_string(SIGSTOP)});
  });
}

TEST_P(ChildControlTest, TellsOfStopsOnlyIfTheLastAttachAskedForIt) {
  expect([] {
    Base base(options());
    const Process process(5);
    Told statuses;
    Child child(base, process.pid(), note(statuses));
    child.attach(Child::Report::stops);
    child.detach();
    child.attach();
    process.kill(SIGSTOP);
    siginfo_t info{};
    const auto id = static_cast<id_t>(process.pid());
    static_cast<void>(uninterrupted([&] { return ::waitid(P_PID, id, &info, WSTOPPED); }));
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
    process.kill(SIGCONT);
    process.end();
    run(base);
    EXPECT_EQ(statuses, Told{"exited 5"});
  });
}

TEST_P(ChildControlTest, MayBeDestroyedByTheCallbackOfAStop) {
  expect([] {
    Base base(options());
    const Process process;
    std::optional<Child> child;
    child.emplace(base, process.pid(), [&] { child.reset(); });
    child->attach(Child::Report::stops);
    child->kill(SIGSTOP);
    EXPECT_EQ(run(base), 1U);
    EXPECT_TRUE(process.reapable());
  });
}

// A callback is one of the user's only if this child has changed.
TEST_P(ChildControlTest, ThatIsAnotherOneDoesNotEndOnce) {
  expect([] {
    for (const auto report : {Child::Report::end, Child::Report::stops}) {
      Base base(options());
      const Process process, other;
      Child child(base, process.pid(), [] { ADD_FAILURE() << "it must not be called"; });
      child.attach(report);
      Timer timer(base, [] {});
      timer.attach(1ms);
      other.end_now();
      EXPECT_EQ(run(base, RunMode::once), 1U);
      EXPECT_FALSE(timer.attached()) << "it is the timer that ran";
    }
  });
}

// Before exec(3).

TEST(ResetSignalsTest, GivesTheChildDefaultDispositionsAndACleanMask) {
  EXPECT_TRUE(succeeds_in_child([] {
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGHUP, SIG_IGN);
    ::signal(SIGUSR2, SIG_IGN);
    Base base;
    Signal signal(base, SIGUSR1, Never());
    signal.attach();
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    EXPECT_TRUE(succeeds_in_child([] {
      errno = ERANGE;
      reset_signals();
      EXPECT_EQ(errno, ERANGE);
      sigset_t mask;
      ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
      for (int signo = 1; signo < 65; ++signo) {
        struct sigaction action {};
        if (::sigaction(signo, nullptr, &action) != 0) continue;  // the C library's own
        EXPECT_EQ(action.sa_handler, SIG_DFL) << signo;
        EXPECT_EQ(sigismember(&mask, signo), 0) << signo;
      }
    }));
  }));
}

TEST(ResetSignalsTest, LeavesTheParentAloneAfterVfork) {
  EXPECT_TRUE(succeeds_in_child([] {
    Base base;
    Signal signal(base, SIGUSR1, [] {});
    signal.attach();
    const Action before = action_of(SIGUSR1);
    // NOLINTNEXTLINE: it is what the function is for
    const pid_t child = ::vfork();
    if (child == 0) {
      reset_signals();
      ::raise(SIGUSR1);
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << status;
    if (EVENT_HAS_TSAN) return;
    EXPECT_EQ(action_of(SIGUSR1), before);
    ::raise(SIGUSR1);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  }));
}

}  // namespace
}  // namespace event_cpp::test
