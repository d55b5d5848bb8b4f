// Children that are detached or destroyed, and a Child as an event among others.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>

#include "support/children.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class ChildLifetimeTest : public Children {};
WITH_AND_WITHOUT_PROCESS_FDS(ChildLifetimeTest);

TEST_P(ChildLifetimeTest, LeavesAloneWhatIsDetached) {
  expect([] {
    Base base(options());
    const Process process(3);
    Child child(base, process.pid(), [] { ADD_FAILURE() << "it must not be called"; });

    EXPECT_FALSE(child.detach());
    child.attach();
    EXPECT_TRUE(child.detach());
    EXPECT_FALSE(child.attached());
    EXPECT_FALSE(child.detach());
    process.end_now();
    EXPECT_EQ(run(base), 0U);

    EXPECT_EQ(process.reap(), "exited 3");
  });
}

TEST_P(ChildLifetimeTest, AllowsDetachAfterTheEnd) {
  expect([] {
    Base base(options());
    const Process first(1);
    const Process second(2);
    const auto never = [] { ADD_FAILURE() << "it must not be called"; };
    Child ended_before(base, first.pid(), never);
    Child ended_after(base, second.pid(), never);
    first.end_now();
    ended_before.attach();
    ended_after.attach();
    second.end_now();

    EXPECT_TRUE(ended_before.detach());
    EXPECT_TRUE(ended_after.detach());
    EXPECT_EQ(run(base), 0U);

    EXPECT_EQ(first.reap(), "exited 1");
    EXPECT_EQ(second.reap(), "exited 2");
  });
}

TEST_P(ChildLifetimeTest, TakesNoStatusThatACallbackOfTheBatchDetached) {
  expect([] {
    Base base(options());
    const Process first(1);
    const Process second(2);
    Told statuses;
    std::optional<Child> one, two;
    one.emplace(base, first.pid(), [&](int status) {
      statuses.push_back(told(status));
      two->detach();
    });
    two.emplace(base, second.pid(), [&](int status) {
      statuses.push_back(told(status));
      one->detach();
    });
    one->attach();
    two->attach();

    first.end_now();
    second.end_now();
    run(base);

    ASSERT_EQ(statuses.size(), 1U);
    EXPECT_NE(first.reapable(), second.reapable()) << "the other one is still to be waited for";
  });
}

TEST_P(ChildLifetimeTest, MayGoOnAfterDetachByAttachingAgain) {
  expect([] {
    Base base(options());
    const std::set<int> descriptors = open_descriptors();
    const Process process(3);
    Told statuses;
    Child child(base, process.pid(), note(statuses));
    for (int i = 0; i < 5; ++i) {
      child.attach();
      if (i % 2 == 0) base.loop(RunMode::nonblock);
      child.detach();
      if (i % 2 == 0) base.loop(RunMode::nonblock);
    }

    child.attach();
    process.end();
    run(base);

    EXPECT_EQ(statuses, Told{"exited 3"});
  });
}

TEST_P(ChildLifetimeTest, MayEndByDestructionInTheCallback) {
  expect([] {
    Base base(options());
    const Process process(3);
    std::unique_ptr<Child> child;
    int called = 0;
    child = std::make_unique<Child>(base, process.pid(), [&] {
      ++called;
      child.reset();
    });
    child->attach();

    process.end();
    run(base);

    EXPECT_EQ(called, 1);
    EXPECT_EQ(child, nullptr);
    EXPECT_EQ(base.size(), 0U);
  });
}

TEST_P(ChildLifetimeTest, MayEndByReplacementInTheCallback) {
  expect([] {
    Base base(options());
    std::deque<Process> processes;
    std::optional<Child> child;
    Told statuses;
    std::function<void(int)> next = [&](int status) {
      statuses.push_back(told(status));
      if (processes.size() == 4) return;
      const Process& process = processes.emplace_back(static_cast<int>(processes.size()));
      child.emplace(base, process.pid(), [&next](int s) { next(s); });
      child->attach();
      process.end();
    };

    next(0);
    run(base);

    EXPECT_EQ(statuses, (Told{"exited 0", "exited 0", "exited 1", "exited 2", "exited 3"}));
  });
}

TEST_P(ChildLifetimeTest, LeavesTheProcessAloneWhenItEnds) {
  expect([] {
    Base base(options());
    const Process process(3);
    {
      Child child(base, process.pid(), [] { ADD_FAILURE() << "it must not be called"; });
      child.attach();
    }
    process.end_now();
    EXPECT_EQ(run(base), 0U);

    EXPECT_EQ(process.reap(), "exited 3");
  });
}

TEST_P(ChildLifetimeTest, MayOutlastTheBase) {
  expect([] {
    const std::set<int> descriptors = open_descriptors();
    {
      const auto before = action_of(SIGCHLD);
      const Process process(3);
      const Process other;
      std::optional<Base> base(options());
      const auto never = [] { ADD_FAILURE() << "it must not be called"; };
      Child destroyed(*base, other.pid(), never);
      Child detached(*base, process.pid(), never);
      destroyed.attach();
      detached.attach();

      base.reset();

      EXPECT_EQ(action_of(SIGCHLD), before);
      EXPECT_FALSE(destroyed.attached());
      EXPECT_FALSE(detached.detach());
      process.end();
      EXPECT_EQ(process.reap(), "exited 3");
    }
    EXPECT_EQ(open_descriptors(), descriptors);
  });
}

TEST_P(ChildLifetimeTest, LeavesNoDescriptorOpen) {
  expect([] {
    const std::set<int> before = open_descriptors();
    {
      Base base(options());
      {
        const Process warm;
        Child child(base, warm.pid(), [] {});
        child.attach();  // of SIGCHLD the base keeps a descriptor
      }
      const std::set<int> with_base = open_descriptors();
      for (int i = 0; i < 5; ++i) {
        const Process process;
        const std::set<int> with_process = open_descriptors();
        Child child(base, process.pid(), [&] {
          EXPECT_EQ(open_descriptors(), with_process) << "it is closed before the callback";
        });
        child.attach();
        if (by_descriptor() && EVENT_HAVE_EPOLL) {
          const int fd = new_descriptor(with_process, "pidfd");
          EXPECT_GE(fd, 0);
          EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
        }
        if (i == 0) continue;  // destroyed while attached
        child.detach();
        EXPECT_EQ(open_descriptors(), with_process);
        child.attach();
        process.end();
        run(base);
      }
      EXPECT_EQ(open_descriptors(), with_base);
    }
    EXPECT_EQ(open_descriptors(), before);
  });
}

// As the child of a fork(2) in another thread has one. The kernel reports that the process was
// reaped, too; and a base that does not know the descriptor any more would replace its epoll set.
TEST_P(ChildLifetimeTest, LeavesNothingInTheKernelForADuplicateOfItsDescriptor) {
  expect([] {
    Base base(options());
    const Process process;
    const std::set<int> before = open_descriptors();
    Child child(base, process.pid(), [] {});
    child.attach();
    if (!by_descriptor() || !EVENT_HAVE_EPOLL) return;
    const Fd duplicate(::dup(new_descriptor(before, "pidfd")));
    std::set<int> with_duplicate = before;
    with_duplicate.insert(duplicate.get());
    process.end();
    run(base);
    for (int i = 0; i < 3; ++i) base.loop(RunMode::nonblock);
    EXPECT_EQ(open_descriptors(), with_duplicate);
  });
}

// As any event.

TEST_P(ChildLifetimeTest, GoesOnAfterACallbackThrew) {
  expect([] {
    Base base(options());
    const Process first(1);
    const Process second(2);
    Told statuses;
    Child throwing(
        base, first.pid(), [] { throw std::runtime_error("thrown"); }, Priority::high);
    Child other(base, second.pid(), note(statuses));
    throwing.attach();
    other.attach();

    first.end_now();
    second.end_now();
    EXPECT_THROW(run(base), std::runtime_error);
    EXPECT_FALSE(throwing.attached());
    EXPECT_FALSE(first.reapable());
    EXPECT_EQ(statuses, Told{});
    run(base);

    EXPECT_EQ(statuses, Told{"exited 2"});
  });
}

TEST_P(ChildLifetimeTest, CallsBackAtThePriority) {
  expect([] {
    Base base(options());
    const Process low_one(3);
    const Process middle_one(2);
    const Process high_one(1);
    Told statuses;
    Child low(base, low_one.pid(), note(statuses), Priority::low);
    Child middle(base, middle_one.pid(), note(statuses));
    Child high(base, high_one.pid(), note(statuses), Priority::low);
    high.set_priority(Priority::high);
    EXPECT_EQ(high.priority(), Priority::high);
    for (Child* const child : {&low, &middle, &high}) child->attach();

    for (const Process* const process : {&low_one, &middle_one, &high_one}) process->end_now();
    base.loop(RunMode::nonblock);

    EXPECT_EQ(statuses, (Told{"exited 1", "exited 2", "exited 3"}));
  });
}

TEST_P(ChildLifetimeTest, KeepsTheBaseAliveOnlyIfItIsTo) {
  expect([] {
    Base base(options());
    const Process process(3);
    Told statuses;
    Child child(base, process.pid(), note(statuses));
    child.keep_alive(false);
    child.attach();

    EXPECT_EQ(run(base), 0U) << "it returns although the child is attached";
    EXPECT_TRUE(child.attached());
    process.end_now();
    Timer timer(base, [] {});
    timer.attach();
    run(base);

    EXPECT_EQ(statuses, Told{"exited 3"});
  });
}

}  // namespace
}  // namespace event_cpp::test
