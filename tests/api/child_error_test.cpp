// Children that cannot be attached, or that others reap.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "support/children.hpp"
#include "support/failing_call.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class ChildErrorTest : public Children {};
WITH_AND_WITHOUT_PROCESS_FDS(ChildErrorTest);

TEST_P(ChildErrorTest, NamesAProcessThatIsAChildOfAnother) {
  expect([] {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const Fd reader(ends[0]);
    Fd writer(ends[1]);
    const pid_t middle = ::fork();
    if (middle == 0) {
      const pid_t grandchild = ::fork();
      if (grandchild != 0) {
        static_cast<void>(::write(writer.get(), &grandchild, sizeof grandchild));
        ::waitpid(grandchild, nullptr, 0);
        ::_exit(0);
      }
      for (;;) ::pause();
    }
    pid_t grandchild = 0;
    ASSERT_EQ(::read(reader.get(), &grandchild, sizeof grandchild),
              static_cast<ssize_t>(sizeof grandchild));
    const Process reaped;
    reaped.end();
    reaped.reap();

    const auto before = action_of(SIGCHLD);
    const std::set<int> descriptors = open_descriptors();
    {
      Base base(options());
      for (const pid_t pid : {pid_t{1}, ::getppid(), ::getpid(), grandchild, reaped.pid()}) {
        SCOPED_TRACE(pid);
        Child child(base, pid, [] { ADD_FAILURE() << "it must not be called"; });
        EXPECT_EQ(child.try_attach(), system_error(ECHILD));
        EXPECT_FALSE(child.attached());
        EXPECT_FALSE(child.detach());
        try {
          child.attach();
          ADD_FAILURE() << "nothing was thrown";
        } catch (const std::system_error& error) {
          EXPECT_EQ(error.code(), system_error(ECHILD));
          EXPECT_NE(std::string(error.what()).find("process " + std::to_string(pid)),
                    std::string::npos)
              << error.what();
        }
      }
      EXPECT_EQ(base.size(), 0U);
      EXPECT_EQ(run(base), 0U);
    }
    EXPECT_EQ(action_of(SIGCHLD), before);
    EXPECT_EQ(open_descriptors(), descriptors);
    ::kill(grandchild, SIGKILL);
    ::waitpid(middle, nullptr, 0);
  });
}

TEST_P(ChildErrorTest, RefusesANumberThatIsNotPositive) {
  expect([] {
    Base base(options());
    const Process process;
    for (const pid_t pid : {pid_t{0}, pid_t{-1}, -process.pid()}) {
      Child child(base, pid, [] { ADD_FAILURE() << "it must not be called"; });
      EXPECT_EQ(child.try_attach(), system_error(EINVAL));
      EXPECT_EQ(thrown_by([&] { child.attach(); }), system_error(EINVAL));
      EXPECT_FALSE(child.attached());
    }
    process.end_now();
    EXPECT_EQ(run(base), 0U);
    EXPECT_EQ(process.reap(), "exited 0");
  });
}

TEST_P(ChildErrorTest, RefusesToAttachTwice) {
  expect([] {
    Base base(options());
    const Process process(1);
    Told statuses;
    Child child(base, process.pid(), note(statuses));
    child.attach();
    const std::set<int> descriptors = open_descriptors();

    EXPECT_EQ(child.try_attach(), Errc::already_attached);
    EXPECT_EQ(thrown_by([&] { child.attach(); }), Errc::already_attached);
    EXPECT_EQ(open_descriptors(), descriptors);
    EXPECT_EQ(base.size(), 1U);
    process.end();
    run(base);

    EXPECT_EQ(statuses, Told{"exited 1"});
  });
}

TEST_P(ChildErrorTest, IsThrownIfNoDescriptorIsLeft) {
  if (!needs_descriptor()) GTEST_SKIP() << "no descriptor is needed";
  expect([] {
    const Blocked blocked(SIGCHLD);  // without a descriptor of the process, it needs another one
    Base base(options());
    const Process process(1);
    Told statuses;
    Child child(base, process.pid(), note(statuses));
    const auto before = action_of(SIGCHLD);
    const std::set<int> descriptors = open_descriptors();
    std::error_code error;
    {
      const NoDescriptorLeft none;
      error = child.try_attach();
    }
    EXPECT_EQ(error, system_error(EMFILE));
    EXPECT_FALSE(child.attached());
    EXPECT_EQ(base.size(), 0U);
    EXPECT_EQ(action_of(SIGCHLD), before);
    EXPECT_EQ(open_descriptors(), descriptors);
    EXPECT_EQ(run(base), 0U);

    child.attach();
    process.end();
    run(base);
    EXPECT_EQ(statuses, Told{"exited 1"});
  });
}

TEST_P(ChildErrorTest, IsNotHiddenBySigchldIfNoDescriptorIsLeft) {
  expect([] {
    if (!by_descriptor()) return;
    Base base(options());
    const Process process;
    Signal signal(base, SIGUSR1, Never());
    signal.attach();  // so that a signal needs no further descriptor
    Child child(base, process.pid(), [] {});
    const auto before = action_of(SIGCHLD);
    std::error_code error;
    {
      const NoDescriptorLeft none;
      error = child.try_attach();
    }
    EXPECT_EQ(error, system_error(EMFILE));
    EXPECT_EQ(action_of(SIGCHLD), before);
  });
}

TEST_P(ChildErrorTest, IsThrownIfTheKernelHasNoRoom) {
  if (!needs_descriptor()) GTEST_SKIP() << "no descriptor is needed";
  expect([] {
    const Blocked blocked(SIGCHLD);  // without a descriptor of the process, it needs another one
    const Call attaching = attaching_on(backend());
    Base base(options());
    const Process process(1);
    Told statuses;
    Child child(base, process.pid(), note(statuses));
    const auto before = action_of(SIGCHLD);
    const std::set<int> descriptors = open_descriptors();
    {
      const FailingCall failing(attaching, ENOSPC);
      EXPECT_EQ(child.try_attach(), system_error(ENOSPC));
    }
    EXPECT_FALSE(child.attached());
    EXPECT_EQ(base.size(), 0U);
    EXPECT_EQ(action_of(SIGCHLD), before);
    if (by_descriptor()) {
      EXPECT_EQ(open_descriptors(), descriptors);
    }

    const Pipe others = make_pipe();  // these get its number, if it was given back
    const std::set<int> with_others = open_descriptors();
    EXPECT_FALSE(child.detach());
    EXPECT_EQ(open_descriptors(), with_others) << "it is closed once";
    child.attach();
    process.end();
    run(base);
    EXPECT_EQ(statuses, Told{"exited 1"});
  });
}

// Others who reap.

TEST_P(ChildErrorTest, IsAnUnknownStatusIfSomebodyElseReapedIt) {
  expect([] {
    Base base(options());
    const Process process(3);
    Told statuses;
    Child child(base, process.pid(), note(statuses));
    child.attach();

    process.end();
    EXPECT_EQ(process.reap(), "exited 3");
    run(base);

    EXPECT_EQ(statuses, Told{"unknown"});
    EXPECT_FALSE(child.attached());
  });
}

TEST_P(ChildErrorTest, KeepsTwoFromWaitingForOneProcess) {
  expect([] {
    Base base(options());
    Base other_base(options());
    const Process process(3);
    Told statuses;
    Child first(base, process.pid(), note(statuses));
    Child second(base, process.pid(), note(statuses));
    Child elsewhere(other_base, process.pid(), note(statuses));
    first.attach();
    const std::set<int> descriptors = open_descriptors();

    for (Child* const other : {&second, &elsewhere}) {
      EXPECT_EQ(other->try_attach(), system_error(EBUSY));
      EXPECT_EQ(thrown_by([&] { other->attach(); }), system_error(EBUSY));
      EXPECT_FALSE(other->attached());
    }
    EXPECT_EQ(open_descriptors(), descriptors);
    EXPECT_TRUE(first.detach());
    second.attach();
    EXPECT_EQ(first.try_attach(), system_error(EBUSY));
    process.end();
    run(base);

    EXPECT_EQ(statuses, Told{"exited 3"});
    EXPECT_EQ(elsewhere.try_attach(), system_error(ECHILD));
  });
}

TEST_P(ChildErrorTest, IsNotSharedWithAForkThatGetsTheSameId) {
  expect([] {
    Base base(options());
    const Process process(3);
    Child child(base, process.pid(), [] {});
    child.attach();
    EXPECT_TRUE(succeeds_in_child([&] {
      // Not its own child: but it is asked whether it is, and not whether the parent waits for it.
      Child same(base, process.pid(), [] {});
      base.after_fork();
      EXPECT_EQ(same.try_attach(), system_error(ECHILD));
      EXPECT_TRUE(child.detach());
      EXPECT_EQ(same.try_attach(), system_error(ECHILD));
    }));
    process.end();
    EXPECT_EQ(run(base), 1U);
  });
}

TEST_P(ChildErrorTest, IsAnUnknownStatusIfTheKernelReapedItFirst) {
  expect([] {
    struct sigaction no_zombies = restarting(SIG_DFL);
    no_zombies.sa_flags |= SA_NOCLDWAIT;
    for (const struct sigaction& action : {restarting(SIG_IGN), no_zombies}) {
      const Disposition ignored(SIGCHLD, action);
      const auto before = action_of(SIGCHLD);
      Base base(options());
      const Process process(4);
      process.end_now();
      ASSERT_FALSE(process.reapable());
      Told statuses;
      Child child(base, process.pid(), note(statuses));

      child.attach();
      EXPECT_TRUE(child.attached());
      EXPECT_EQ(child.try_kill(0), system_error(ESRCH));
      EXPECT_EQ(statuses, Told{}) << "callbacks run in the loop";
      EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

      EXPECT_EQ(statuses, Told{"unknown"});
      EXPECT_FALSE(child.attached());
      EXPECT_EQ(action_of(SIGCHLD), before);
      Child other(base, ::getppid(), [] { ADD_FAILURE() << "it must not be called"; });
      EXPECT_EQ(other.try_attach(), system_error(ECHILD)) << "this process is there";
    }
  });
}

// In the fallback attach() looks again once SIGCHLD is watched; the child may be gone by then.
TEST_P(ChildErrorTest, EndsTheWaitForAProcessThatIsGone) {
  expect([] {
    Base base(options());
    const Process process(3);
    process.end_now();
    int called = 0;
    Child child(base, process.pid(), [&] { ++called; });
    {
      const FailingCall gone(Call::waitid, ECHILD, 2);
      child.attach();
    }
    run(base);

    EXPECT_EQ(called, 1);
  });
}

}  // namespace
}  // namespace event_cpp::test
