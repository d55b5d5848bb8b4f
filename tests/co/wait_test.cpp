// What a task waits for on its own: time, descriptors, signals, processes, its turn.
#include <csignal>
#include <vector>

#include "co/support.hpp"
#include "support/children.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

class WaitTest : public EveryBackendCo {};

BACKEND_TEST(WaitTest, SleepsByTheClockOfItsBase) {
  Base base(options());
  const auto sleeps = [](ManualTime& base_time) -> Task<> {
    const TimePoint began = base_time.now();
    co_await co::sleep(1h);
    EXPECT_EQ(base_time.now() - began, 1h);
    co_await co::sleep_until(began + 3h);
    EXPECT_EQ(base_time.now() - began, 3h);
  };
  run_task(base, sleeps(time));
}

BACKEND_TEST(WaitTest, SleepsUntilTheNextIterationIfTheTimeHasCome) {
  Base base(options());
  const auto sleeps = [](ManualTime& base_time) -> Task<> {
    const TimePoint began = base_time.now();
    co_await co::sleep(0s);
    co_await co::sleep(-1s);
    co_await co::sleep_until(began - 1h);
    EXPECT_EQ(base_time.now(), began);
  };
  run_task(base, sleeps(time));
}

BACKEND_TEST(WaitTest, SleepsForEverIfAskedTo) {
  Base base(options());
  const auto sleeps = []() -> Task<> { co_await co::sleep(Duration::max()); };
  const auto limited = [sleeps]() -> Task<> { co_await co::with_timeout(24h * 365, sleeps()); };
  EXPECT_EQ(run_task(base, error_of(limited())), std::errc::timed_out);
}

BACKEND_TEST(WaitTest, GivesTheReadinessOfADescriptorOrItsTimeout) {
  Base base(options());
  const Pipe readable = readable_pipe();
  const Pipe silent = make_pipe();
  const auto waits = [](int ready_fd, int silent_fd) -> Task<> {
    Events fired = co_await co::ready(ready_fd, Events::read);
    EXPECT_EQ(fired, Events::read);
    fired = co_await co::ready(ready_fd, Events::read | Events::persist, 1s);
    EXPECT_EQ(fired, Events::read);
    fired = co_await co::ready(silent_fd, Events::read, 1s);
    EXPECT_EQ(fired, Events::timeout);
  };
  run_task(base, waits(readable.reader.get(), silent.reader.get()));
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(WaitTest, ThrowsInTheTaskWhatAttachThrows) {
  Base base(options());
  const auto waits = [](int fd) -> Task<> {
    int destroyed = 0;
    {
      const CountsDestruction local(destroyed);
      co_await co::ready(fd, Events::read);
    }
  };
  EXPECT_EQ(run_task(base, error_of(waits(-1))), thrown_by([&] {
              Event event(base, -1, Events::read, [] {});
              event.attach();
            }));
  EXPECT_EQ(run_task(base, error_of(waits(closed_number()))), system_error(EBADF));

  const auto waits_for_no_child = []() -> Task<> {
    const int status = co_await co::exited(::getpid());
    ADD_FAILURE() << "this process is no child of its own: " << status;
  };
  EXPECT_EQ(run_task(base, error_of(waits_for_no_child())), system_error(ECHILD));

  const auto waits_for_no_signal = []() -> Task<> { co_await co::signal(SIGKILL); };
  EXPECT_EQ(run_task(base, error_of(waits_for_no_signal())), std::errc::invalid_argument);
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(WaitTest, GoesOnAfterAnAttachThatFailed) {
  Base base(options());
  const auto waits = [](int fd) -> Task<int> {
    int failures = 0;
    for (int i = 0; i < 3; ++i) {
      try {
        co_await co::ready(fd, Events::read);
      } catch (const std::system_error&) {
        ++failures;
      }
      co_await co::sleep(1s);
    }
    co_return failures;
  };
  EXPECT_EQ(run_task(base, waits(closed_number())), 3);
}

BACKEND_TEST(WaitTest, YieldsUntilTheNextIteration) {
  Base base(options());
  std::vector<int> order;
  co::TaskGroup group(base);
  const auto yields = [](std::vector<int>& noted, int n) -> Task<> {
    for (int i = 0; i < 3; ++i) {
      noted.push_back(n);
      co_await co::yield();
    }
  };
  group.spawn(yields(order, 1));
  group.spawn(yields(order, 2));
  run(base);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 1, 2, 1, 2}));
}

BACKEND_TEST(WaitTest, YieldsAHundredThousandTimes) {
  Base base(options());
  const auto yields = []() -> Task<int> {
    int times = 0;
    for (; times < 100'000; ++times) co_await co::yield();
    co_return times;
  };
  EXPECT_EQ(run_task(base, yields()), 100'000);
}

BACKEND_TEST(WaitTest, ForASignalEndsForAllThatWait) {
  Base base(options());
  co::TaskGroup group(base);
  int told = 0;
  const auto waits = [](int& count) -> Task<> {
    co_await co::signal(SIGUSR1);
    ++count;
  };
  group.spawn(waits(told));
  group.spawn(waits(told));
  base.post([] { ::raise(SIGUSR1); });
  run(base);
  EXPECT_EQ(told, 2);
}

BACKEND_TEST(WaitTest, MissesNoSignalThatComesBetweenTwoWaits) {
  Base base(options());
  const auto waits = []() -> Task<int> {
    int told = 0;
    co_await co::yield();
    ::raise(SIGUSR1);
    co_await co::signal(SIGUSR1);
    ++told;
    ::raise(SIGUSR1);
    ::raise(SIGUSR1);
    co_await co::sleep(1s);
    co_await co::signal(SIGUSR1);
    ++told;
    co_return told;
  };
  const auto first = []() -> Task<> { co_await co::signal(SIGUSR1); };
  const auto watches = [first]() -> Task<> {
    const auto got = co_await co::try_with_timeout(1s, first());
    EXPECT_FALSE(got.has_value());
  };
  run_task(base, watches());
  EXPECT_EQ(run_task(base, waits()), 2);
}

BACKEND_TEST(WaitTest, ForASignalKeepsTheBaseAliveOnlyWhileItWaits) {
  Base base(options());
  const auto first = []() -> Task<> { co_await co::signal(SIGUSR1); };
  const auto watches = [first]() -> Task<> { co_await co::try_with_timeout(1s, first()); };
  run_task(base, watches());
  EXPECT_EQ(run(base), 0U);
}

BACKEND_TEST(WaitTest, ReapsAChildAndGivesItsStatus) {
  Base base(options());
  const Process child(7);
  const auto waits = [](const Process& process) -> Task<std::string> {
    process.end();
    const int status = co_await co::exited(process.pid());
    co_return told(status);
  };
  EXPECT_EQ(run_task(base, waits(child)), "exited 7");
  EXPECT_FALSE(child.reapable());
}

BACKEND_TEST(WaitTest, LeavesAChildAloneIfTheWaitIsCancelled) {
  Base base(options());
  const Process child;
  const auto waits = [](pid_t pid) -> Task<> { co_await co::exited(pid); };
  const auto limited = [waits](pid_t pid) -> Task<> { co_await co::with_timeout(1s, waits(pid)); };
  EXPECT_EQ(run_task(base, error_of(limited(child.pid()))), std::errc::timed_out);
  EXPECT_TRUE(child.reapable());
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(WaitTest, KnowsItsBaseAndWhetherItWasCancelled) {
  Base base(options());
  co::TaskGroup group(base);
  const auto asks = [](Base& expected, co::TaskGroup& own) -> Task<> {
    Base& mine = co_await co::base();
    EXPECT_EQ(&mine, &expected);
    bool now = co_await co::cancelled();
    EXPECT_FALSE(now);
    own.cancel();
    now = co_await co::cancelled();
    EXPECT_TRUE(now);
  };
  group.spawn(asks(base, group));
  EXPECT_EQ(group.size(), 0U);
}

}  // namespace
}  // namespace event_cpp::test
