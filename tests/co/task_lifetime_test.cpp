// Bases, groups and what tasks wait for may go in any order.
#include <optional>

#include "co/waits.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using co::TaskGroup;

class TaskLifetimeTest : public EveryBackendCo {
 protected:
  static Task<> counts(Task<> task, int& destroyed) {
    const CountsDestruction local(destroyed);
    co_await std::move(task);
  }
};

BACKEND_TEST(TaskLifetimeTest, AGroupMayGoBeforeItsBaseWithEveryKindOfWait) {
  for (const Waits::Kind& kind : Waits::kinds()) {
    SCOPED_TRACE(kind.name);
    Base base(options());
    Waits waits(base);
    int destroyed = 0;
    {
      TaskGroup group(base);
      group.spawn(counts(kind.make(waits), destroyed));
      base.loop(RunMode::nonblock);
      EXPECT_EQ(destroyed, 0);
    }
    EXPECT_EQ(destroyed, 1);
    waits.open();
    base.loop(RunMode::nonblock);
  }
}

BACKEND_TEST(TaskLifetimeTest, ABaseMayGoBeforeItsGroupWithEveryKindOfWait) {
  for (const Waits::Kind& kind : Waits::kinds()) {
    SCOPED_TRACE(kind.name);
    std::optional<Base> base(std::in_place, options());
    Waits waits(*base);
    int destroyed = 0;
    TaskGroup group(*base);
    group.spawn(counts(kind.make(waits), destroyed));
    base->loop(RunMode::nonblock);
    waits.open();
    base.reset();
    EXPECT_EQ(destroyed, 1);
    EXPECT_EQ(group.size(), 0U);
  }
}

BACKEND_TEST(TaskLifetimeTest, AnyWaitMayBeDestroyedBetweenACancelAndItsTurn) {
  for (const Waits::Kind& kind : Waits::kinds()) {
    SCOPED_TRACE(kind.name);
    Base base(options());
    Waits waits(base);
    int destroyed = 0;
    {
      TaskGroup group(base);
      group.spawn(counts(kind.make(waits), destroyed));
      group.cancel();
    }
    EXPECT_EQ(destroyed, 1);
    waits.open();
    base.loop(RunMode::nonblock);
  }
}

BACKEND_TEST(TaskLifetimeTest, WhatTasksWaitForMayGoBeforeThem) {
  for (const Waits::Kind& kind : Waits::kinds()) {
    SCOPED_TRACE(kind.name);
    Base base(options());
    int destroyed = 0;
    TaskGroup group(base, [](const std::exception_ptr&) {});
    std::optional<Waits> waits(std::in_place, base);
    group.spawn(counts(kind.make(*waits), destroyed));
    base.loop(RunMode::nonblock);
    // A descriptor and a process must not go while they are waited for.
    if (kind.name == std::string("ready") || kind.name == std::string("exited")) {
      group.cancel();
      base.loop(RunMode::nonblock);
    }
    waits->open();
    waits.reset();
    group.cancel();
    run(base);
    EXPECT_EQ(destroyed, 1);
  }
}

BACKEND_TEST(TaskLifetimeTest, RunDestroysItsTaskWhateverItWaitsFor) {
  for (const Waits::Kind& kind : Waits::kinds()) {
    SCOPED_TRACE(kind.name);
    Base base(options());
    Waits waits(base);
    int destroyed = 0;
    base.stop();
    EXPECT_THROW(run_task(base, counts(kind.make(waits), destroyed)), std::system_error);
    EXPECT_EQ(destroyed, 1);
    waits.open();
  }
}

BACKEND_TEST(TaskLifetimeTest, ADestructorMayWakeThoseWhoWaitBehindItsTask) {
  Base base(options());
  co::Semaphore semaphore(1);
  int acquired = 0;
  struct Task2 {
    static Task<> takes_twice(co::Semaphore& permits) {
      co_await permits.acquire();
      const co::SemaphoreGuard guard(permits);
      co_await permits.acquire();
    }
    static Task<> takes(co::Semaphore& permits, int& count) {
      co_await permits.acquire();
      ++count;
    }
  };
  TaskGroup others(base);
  {
    TaskGroup group(base);
    group.spawn(Task2::takes_twice(semaphore));
    others.spawn(Task2::takes(semaphore, acquired));
  }
  run(base);
  EXPECT_EQ(acquired, 1);
}

BACKEND_TEST(TaskLifetimeTest, ADestructorMayCloseTheChannelThatItsTaskReceivesFrom) {
  Base base(options());
  co::Channel<int> channel(1);
  int ended = 0;
  struct Closes {
    co::Channel<int>& channel;
    explicit Closes(co::Channel<int>& its_channel) noexcept : channel(its_channel) {}
    ~Closes() { channel.close(); }
    static Task<> receives_and_closes(co::Channel<int>& from) {
      const Closes at_the_end(from);
      co_await from.receive();
    }
    static Task<> receives(co::Channel<int>& from, int& count) {
      const std::optional<int> nothing = co_await from.receive();
      EXPECT_FALSE(nothing.has_value());
      ++count;
    }
  };
  TaskGroup others(base);
  {
    TaskGroup group(base);
    group.spawn(Closes::receives_and_closes(channel));
    others.spawn(Closes::receives(channel, ended));
  }
  run(base);
  EXPECT_EQ(ended, 1);
}

BACKEND_TEST(TaskLifetimeTest, ADestructorMayCancelAndAskItsGroup) {
  Base base(options());
  struct Cancels {
    TaskGroup& group;
    explicit Cancels(TaskGroup& its_group) noexcept : group(its_group) {}
    ~Cancels() {
      group.cancel();
      EXPECT_LE(group.size(), 1U);
    }
    static Task<> at_the_end(TaskGroup& own) {
      const Cancels cancels(own);
      co_await co::sleep(1h);
    }
  };
  TaskGroup group(base);
  group.spawn(Cancels::at_the_end(group));
  group.spawn(Cancels::at_the_end(group));
}

BACKEND_TEST(TaskLifetimeTest, ADestructorMayDestroyAnotherGroup) {
  std::optional<Base> base(std::in_place, options());
  int destroyed = 0;
  std::optional<TaskGroup> second;
  struct Destroys {
    std::optional<TaskGroup>& other;
    explicit Destroys(std::optional<TaskGroup>& group) noexcept : other(group) {}
    ~Destroys() { other.reset(); }
    static Task<> at_the_end(std::optional<TaskGroup>& group) {
      const Destroys destroys(group);
      co_await co::sleep(1h);
    }
    static Task<> sleeps(int& counter) {
      const CountsDestruction local(counter);
      co_await co::sleep(1h);
    }
  };
  TaskGroup first(*base);
  second.emplace(*base);
  first.spawn(Destroys::at_the_end(second));
  second->spawn(Destroys::sleeps(destroyed));
  base.reset();
  EXPECT_FALSE(second.has_value());
  EXPECT_EQ(destroyed, 1);
}

BACKEND_TEST(TaskLifetimeTest, FiveThousandNestedTasksMayBeDestroyedAndCancelled) {
  struct Nested {
    static Task<> plain(int depth, int& destroyed) {
      const CountsDestruction local(destroyed);
      if (depth == 0) {
        co_await co::sleep(1h);
      } else {
        co_await plain(depth - 1, destroyed);
      }
    }
  };
  int destroyed = 0;
  Base base(options());
  {
    TaskGroup group(base);
    group.spawn(Nested::plain(5'000, destroyed));
  }
  EXPECT_EQ(destroyed, 5'001);
  TaskGroup group(base);
  group.spawn(Nested::plain(5'000, destroyed));
  group.cancel();
  run(base);
  EXPECT_EQ(destroyed, 10'002);
}

BACKEND_TEST(TaskLifetimeTest, AThousandNestedLimitsMayBeDestroyedAndCancelled) {
  struct Nested {
    static Task<> limited(int depth, int& destroyed) {
      const CountsDestruction local(destroyed);
      if (depth == 0) {
        co_await co::sleep(1h);
      } else {
        co_await co::with_timeout(2h, limited(depth - 1, destroyed));
      }
    }
  };
  int destroyed = 0;
  Base base(options());
  {
    TaskGroup group(base);
    group.spawn(Nested::limited(1'000, destroyed));
  }
  EXPECT_EQ(destroyed, 1'001);
  TaskGroup group(base);
  group.spawn(Nested::limited(1'000, destroyed));
  group.cancel();
  run(base);
  EXPECT_EQ(destroyed, 2'002);
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(TaskLifetimeTest, RunWorksAgainAfterAnExceptionHasLeftIt) {
  Base base(options());
  TaskGroup group(base);
  const auto ends = []() -> Task<> { co_await co::yield(); };
  const auto fails = []() -> Task<> {
    co_await co::yield();
    throw std::runtime_error("beside");
  };
  group.spawn(fails());
  EXPECT_THROW(
      {
        run_task(base, ends());
        run(base);
      },
      std::runtime_error);
  EXPECT_NO_THROW(run_task(base, ends()));
  base.post([] { throw std::runtime_error("a callback"); });
  EXPECT_THROW(run_task(base, ends()), std::runtime_error);
  EXPECT_NO_THROW(run_task(base, ends()));
}

}  // namespace
}  // namespace event_cpp::test
