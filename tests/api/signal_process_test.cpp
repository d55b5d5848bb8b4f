// Signals that come to a process in which no base is run: between fork(2) or vfork(2) and exec(3).
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "support/every_backend.hpp"
#include "support/forked.hpp"
#include "support/raw_fork.hpp"
#include "support/sanitizers.hpp"
#include "support/signals.hpp"

namespace event_cpp::test {
namespace {

class SignalProcessTest : public Signals {
 protected:
  // The wait status of a child of vfork(2) that sends itself the signal and then exits with 0.
  static int status_of_vforked_child(int signo) {
    // NOLINTNEXTLINE: that it is dangerous is why it is tested
    const pid_t child = ::vfork();
    if (child == 0) {
      ::kill(::getpid(), signo);
      ::_exit(0);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    return status;
  }
};

BACKEND_TEST(SignalProcessTest, EndsAChildBetweenVforkAndExecUnknownToTheParent) {
  if (EVENT_HAS_TSAN) GTEST_SKIP() << "vfork() is fork() here, and handlers are put off";
  EXPECT_TRUE(succeeds_in_child([&] {
    const Disposition former(SIGTERM, SIG_DFL);
    Base base(options());
    Signal signal(base, SIGTERM, Never());
    signal.attach();

    const int status = status_of_vforked_child(SIGTERM);

    EXPECT_TRUE(WIFSIGNALED(status)) << status;
    EXPECT_EQ(WTERMSIG(status), SIGTERM);
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
    EXPECT_EQ(base.stats().signals, 0U);
  }));
}

BACKEND_TEST(SignalProcessTest, ReachesTheFormerHandlerInAChildBetweenVforkAndExec) {
  if (EVENT_HAS_TSAN) GTEST_SKIP() << "vfork() is fork() here, and handlers are put off";
  Base base(options());
  Signal signal(base, SIGUSR1, Never());
  signal.attach();

  const int status = status_of_vforked_child(SIGUSR1);

  EXPECT_EQ(status, 0);
  EXPECT_EQ(strays, 1) << "the memory is the parent's";
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
}

BACKEND_TEST(SignalProcessTest, IsIgnoredInAChildBetweenVforkAndExecIfItWasBefore) {
  const Disposition former(SIGUSR1, SIG_IGN);
  Base base(options());
  Signal signal(base, SIGUSR1, Never());
  signal.attach();

  EXPECT_EQ(status_of_vforked_child(SIGUSR1), 0);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
}

BACKEND_TEST(SignalProcessTest, EndsAForkedChildThatDoesNotUseTheBase) {
  const Disposition former(SIGUSR1, SIG_DFL);
  Base base(options());
  Signal signal(base, SIGUSR1, Never());
  signal.attach();

  const int status = status_of_child([] { ::raise(SIGUSR1); });

  EXPECT_TRUE(WIFSIGNALED(status)) << status;
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
}

BACKEND_TEST(SignalProcessTest, EndsAForkedChildThatUsesAnotherBase) {
  const Disposition former(SIGUSR1, SIG_DFL);
  Base base(options());
  Signal signal(base, SIGUSR1, Never());
  signal.attach();

  const int status = status_of_child([&] {
    Base own(options());
    Signal other(own, SIGUSR2, recorder.note(1));
    other.attach();
    ::raise(SIGUSR2);
    if (own.loop(RunMode::nonblock) == 1) ::raise(SIGUSR1);
  });

  EXPECT_TRUE(WIFSIGNALED(status)) << status;
}

BACKEND_TEST(SignalProcessTest, ReachesABaseOfTheChildAlthoughItResetItsHandlers) {
  Base base(options());
  Signal signal(base, SIGUSR1, Never());
  signal.attach();

  EXPECT_TRUE(succeeds_in_child([&] {
    ::signal(SIGUSR1, SIG_IGN);
    const Action before = action_of(SIGUSR1);
    Base own(options());
    Signal other(own, SIGUSR1, recorder.note(1));
    other.attach();
    ::raise(SIGUSR1);
    EXPECT_EQ(own.loop(RunMode::nonblock), 1U);
    other.detach();
    EXPECT_EQ(action_of(SIGUSR1), before);
  }));
}

BACKEND_TEST(SignalProcessTest, HasItsFormerActionInAChildThatOnlyDestroysTheEvent) {
  const Disposition former(SIGUSR1, SIG_IGN);
  const Action before = action_of(SIGUSR1);
  Base base(options());
  std::optional<Signal> signal(std::in_place, base, SIGUSR1, recorder.note(1));
  signal->attach();
  const auto destroy = [&] {
    signal.reset();
    EXPECT_EQ(action_of(SIGUSR1), before);
  };
  EXPECT_TRUE(succeeds_in_child(destroy));
  if (!EVENT_HAS_TSAN) {
    EXPECT_TRUE(succeeds_in_child_of(&raw_fork, destroy));
  }
  ::raise(SIGUSR1);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
}

void spoil_errno(int) {
  ++strays;
  errno = EDOM;
}

BACKEND_TEST(SignalProcessTest, KeepsErrnoWhateverTheFormerHandlerDoes) {
  const Disposition former(SIGUSR1, &spoil_errno);
  Base base(options());
  Signal signal(base, SIGUSR1, Never());
  signal.attach();
  EXPECT_TRUE(succeeds_in_child([] {
    errno = ERANGE;
    ::raise(SIGUSR1);
    EXPECT_EQ(errno, ERANGE);
    EXPECT_EQ(strays, 1);
  }));
}

siginfo_t last_info{};
void keep_info(int, siginfo_t* info, void*) { last_info = *info; }

BACKEND_TEST(SignalProcessTest, ReachesTheFormerHandlerWithWhatTheKernelSaysOfIt) {
  struct sigaction action {};
  action.sa_sigaction = &keep_info;
  action.sa_flags = SA_SIGINFO;
  const Disposition former(SIGUSR1, action);
  Base base(options());
  Signal signal(base, SIGUSR1, Never());
  signal.attach();
  EXPECT_TRUE(succeeds_in_child([] {
    last_info = {};
    raise_for_process(SIGUSR1);
    EXPECT_EQ(last_info.si_signo, SIGUSR1);
    EXPECT_EQ(last_info.si_pid, ::getpid());
  }));
}

BACKEND_TEST(SignalProcessTest, StopsAForkedChildThatGoesOnWhenItIsToldTo) {
  const Disposition former(SIGTTOU, SIG_DFL);
  Base base(options());
  Signal signal(base, SIGTTOU, Never());
  signal.attach();
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(30);
    ::setpgid(0, 0);
    ::raise(SIGTTOU);
    ::raise(SIGTTOU);
    ::_exit(0);
  }
  int status = 0;
  for (int stops = 0; stops < 2; ++stops) {
    ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
    EXPECT_TRUE(WIFSTOPPED(status)) << status;
    ::kill(child, SIGCONT);
  }
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace event_cpp::test
