// Cancellation: of every wait, as a level, and never inline.
#include <optional>
#include <stdexcept>

#include "co/waits.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using co::TaskGroup;

class CancelTest : public EveryBackendCo {
 protected:
  // Keeps what the task threw.
  static Task<> keeps_error(Task<> task, std::error_code& thrown, int& ended) {
    thrown = co_await error_of(std::move(task));
    ++ended;
  }
};

BACKEND_TEST(CancelTest, EndsEveryKindOfWaitInTheNextIteration) {
  for (const Waits::Kind& kind : Waits::kinds()) {
    SCOPED_TRACE(kind.name);
    Base base(options());
    Waits waits(base);
    TaskGroup group(base);
    std::error_code thrown;
    int ended = 0;
    const TimePoint began = time.now();
    group.spawn(keeps_error(kind.make(waits), thrown, ended));
    base.loop(RunMode::nonblock);
    EXPECT_EQ(ended, 0);
    group.cancel();
    EXPECT_EQ(ended, 0) << "never in the call";
    base.loop(RunMode::nonblock);
    EXPECT_EQ(ended, 1);
    EXPECT_EQ(thrown, std::errc::operation_canceled);
    EXPECT_EQ(time.now(), began);
    waits.open();
  }
}

BACKEND_TEST(CancelTest, OfATimeoutEndsEveryKindOfWait) {
  struct Limited {
    static Task<> wait(Task<> task) { co_await co::with_timeout(1s, std::move(task)); }
  };
  for (const Waits::Kind& kind : Waits::kinds()) {
    SCOPED_TRACE(kind.name);
    Base base(options());
    Waits waits(base);
    const TimePoint began = time.now();
    EXPECT_EQ(run_task(base, error_of(Limited::wait(kind.make(waits)))), std::errc::timed_out);
    EXPECT_EQ(time.now() - began, 1s);
    waits.open();
  }
}

BACKEND_TEST(CancelTest, BeforeAWaitFailsEveryKindOfWait) {
  struct Cancels {
    static Task<> first(TaskGroup& own, Task<> task) {
      own.cancel();
      co_await std::move(task);
    }
  };
  for (const Waits::Kind& kind : Waits::kinds()) {
    SCOPED_TRACE(kind.name);
    Base base(options());
    Waits waits(base);
    TaskGroup group(base);
    std::error_code thrown;
    int ended = 0;
    const TimePoint began = time.now();
    group.spawn(keeps_error(Cancels::first(group, kind.make(waits)), thrown, ended));
    EXPECT_EQ(ended, 0) << "never in the call";
    base.loop(RunMode::nonblock);
    EXPECT_EQ(ended, 1);
    EXPECT_EQ(thrown, std::errc::operation_canceled);
    EXPECT_EQ(time.now(), began);
    waits.open();
  }
}

BACKEND_TEST(CancelTest, LeavesNothingAttachedOfAnyKindOfWait) {
  for (const Waits::Kind& kind : Waits::kinds()) {
    SCOPED_TRACE(kind.name);
    Base base(options());
    std::size_t before = 0;
    {
      std::optional<Waits> waits(std::in_place, base);
      TaskGroup group(base);
      std::error_code thrown;
      int ended = 0;
      group.spawn(keeps_error(kind.make(*waits), thrown, ended));
      group.cancel();
      waits->open();
      waits.reset();
      run(base);
    }
    before = base.size();
    EXPECT_LE(before, kind.name == std::string("signal") ? 1U : 0U);
  }
}

BACKEND_TEST(CancelTest, IsALevelThatEachLaterWaitMeets) {
  Base base(options());
  TaskGroup group(base);
  int failed = 0;
  const auto stubborn = [](int& count) -> Task<> {
    for (int i = 0; i < 5; ++i) {
      try {
        co_await co::sleep(1h);
      } catch (const std::system_error&) {
        ++count;
      }
    }
  };
  const TimePoint began = time.now();
  group.spawn(stubborn(failed));
  group.cancel();
  run(base);
  EXPECT_EQ(failed, 5);
  EXPECT_EQ(time.now(), began);
}

BACKEND_TEST(CancelTest, LetsWhatNeedNotWaitSucceed) {
  Base base(options());
  TaskGroup group(base);
  int done = 0;
  const auto works = [](TaskGroup& own, int& count) -> Task<> {
    co::Channel<int> channel(1);
    co::Semaphore semaphore(1);
    own.cancel();
    co_await channel.send(1);
    const std::optional<int> got = co_await channel.receive();
    EXPECT_EQ(got, 1);
    co_await semaphore.acquire();
    ++count;
  };
  group.spawn(works(group, done));
  run(base);
  EXPECT_EQ(done, 1);
}

BACKEND_TEST(CancelTest, LetsAWaitThatHasJustEndedSucceed) {
  Base base(options());
  TaskGroup group(base);
  co::Semaphore semaphore(0);
  int acquired = 0;
  const auto waits = [](co::Semaphore& permits, int& count) -> Task<> {
    co_await permits.acquire();
    ++count;
    co_await co::yield();
    ADD_FAILURE() << "it was cancelled";
  };
  group.spawn(waits(semaphore, acquired));
  semaphore.release();
  group.cancel();
  run(base);
  EXPECT_EQ(acquired, 1);
}

BACKEND_TEST(CancelTest, IsNoFailureOfATaskThatWasCancelled) {
  Base base(options());
  TaskGroup group(base);
  const auto waits = []() -> Task<> { co_await co::sleep(1h); };
  group.spawn(waits());
  group.cancel();
  EXPECT_NO_THROW(run(base));
  const auto joins = [](TaskGroup& joined) -> Task<> { co_await joined.join(); };
  EXPECT_NO_THROW(run_task(base, joins(group)));
}

BACKEND_TEST(CancelTest, IsAFailureOfATaskThatWasNotCancelled) {
  Base base(options());
  TaskGroup group(base);
  std::optional<co::Semaphore> semaphore(std::in_place, 0U);
  const auto waits = [](co::Semaphore& permits) -> Task<> { co_await permits.acquire(); };
  group.spawn(waits(*semaphore));
  semaphore.reset();
  EXPECT_THROW(run(base), std::system_error);
}

BACKEND_TEST(CancelTest, OfATaskWithALimitThatHasComeIsNoFailure) {
  Base base(options());
  TaskGroup group(base);
  const auto waits = []() -> Task<> {
    try {
      co_await co::sleep(1h);
    } catch (const std::system_error&) {
    }
    co_await co::with_timeout(0s, co::sleep(1h));
  };
  group.spawn(waits());
  group.cancel();
  EXPECT_NO_THROW(run(base));
  EXPECT_EQ(group.size(), 0U);
}

BACKEND_TEST(CancelTest, ReachesWhatItsOwnTaskHasJustStarted) {
  Base base(options());
  struct Starts {
    static Task<> cancels(TaskGroup& own) {
      own.cancel();
      co_await co::sleep(1h);
    }
    static Task<> sleeps() { co_await co::sleep(1h); }
    static Task<> limited(TaskGroup& own) { co_await co::with_timeout(2h, cancels(own)); }
    static Task<> twice(TaskGroup& own) { co_await co::with_timeout(3h, limited(own)); }
    static Task<> all(TaskGroup& own) { co_await co::when_all(cancels(own), sleeps()); }
    static Task<> any(TaskGroup& own) { co_await co::when_any(sleeps(), cancels(own)); }
    static Task<> inner_group(TaskGroup& own) {
      Base& here = co_await co::base();
      TaskGroup inner(here);
      inner.spawn(cancels(own));
      co_await inner.join();
    }
  };
  const TimePoint began = time.now();
  for (auto* const start : {&Starts::cancels, &Starts::limited, &Starts::twice, &Starts::all,
                            &Starts::any, &Starts::inner_group}) {
    TaskGroup group(base);
    group.spawn(start(group));
    run(base);
    EXPECT_EQ(group.size(), 0U);
  }
  EXPECT_EQ(time.now(), began);
}

BACKEND_TEST(CancelTest, GoesThroughNestedGroupsAndComesOutOfThem) {
  Base base(options());
  TaskGroup outer(base);
  int inner_ended = 0;
  int went_on = 0;
  struct Nested {
    static Task<> leaf(int& ended) {
      try {
        co_await co::sleep(1h);
      } catch (const std::system_error&) {
        ++ended;
        throw;
      }
    }
    static Task<> level(int depth, int& ended, int& on) {
      Base& here = co_await co::base();
      TaskGroup inner(here);
      if (depth == 0) {
        inner.spawn(leaf(ended));
      } else {
        inner.spawn(level(depth - 1, ended, on));
      }
      co_await inner.join();
      ++on;
    }
  };
  outer.spawn(Nested::level(10, inner_ended, went_on));
  outer.cancel();
  EXPECT_NO_THROW(run(base));
  EXPECT_EQ(inner_ended, 1);
  EXPECT_EQ(went_on, 0) << "an inner group swallowed the cancellation";
  EXPECT_EQ(outer.size(), 0U);
}

BACKEND_TEST(CancelTest, ReachesTasksThatAreSpawnedLaterUntilJoinHasReturned) {
  Base base(options());
  TaskGroup group(base);
  const auto waits = []() -> Task<> { co_await co::sleep(1h); };
  const auto joins = [](TaskGroup& joined) -> Task<> { co_await joined.join(); };
  const TimePoint began = time.now();
  group.spawn(waits());
  group.cancel();
  group.spawn(waits());
  run_task(base, joins(group));
  EXPECT_EQ(time.now(), began);
  group.spawn(waits());
  run_task(base, joins(group));
  EXPECT_EQ(time.now() - began, 1h);
}

BACKEND_TEST(CancelTest, DoesNothingToAGroupWithoutTasks) {
  Base base(options());
  TaskGroup group(base);
  group.cancel();
  const auto waits = []() -> Task<> { co_await co::sleep(1h); };
  const TimePoint began = time.now();
  group.spawn(waits());
  run(base);
  EXPECT_EQ(time.now() - began, 1h);
}

BACKEND_TEST(CancelTest, IsNoticedByATaskThatNeverBlocks) {
  Base base(options());
  TaskGroup group(base);
  const auto busy = []() -> Task<> {
    co::Channel<int> channel(1);
    for (;;) {
      co_await channel.send(1);
      co_await channel.receive();
    }
  };
  const auto cancels = [](TaskGroup& other) -> Task<> {
    co_await co::yield();
    other.cancel();
  };
  TaskGroup others(base);
  group.spawn(busy());
  others.spawn(cancels(group));
  run(base);
  EXPECT_EQ(group.size(), 0U);
}

BACKEND_TEST(CancelTest, IsHeldOffByAShieldWhichHasItsOwnLimit) {
  Base base(options());
  TaskGroup group(base);
  int cleaned = 0;
  int late = 0;
  struct Cleans {
    static Task<> up(Duration takes) { co_await co::sleep(takes); }
    static Task<> limited(Duration takes) { co_await co::with_timeout(5s, up(takes)); }
    static Task<> works(Duration takes, int& cleaned_up, int& too_late) {
      bool ends = false;
      try {
        co_await co::sleep(1h);
      } catch (const std::system_error&) {
        ends = true;
      }
      EXPECT_TRUE(ends);
      const std::error_code code = co_await error_of(limited_shield(takes));
      if (code == std::errc::timed_out) ++too_late;
      if (!code) ++cleaned_up;
      co_await co::yield();
      ADD_FAILURE() << "it is still cancelled";
    }
    static Task<> limited_shield(Duration takes) { co_await co::shield(limited(takes)); }
  };
  group.spawn(Cleans::works(1s, cleaned, late));
  group.spawn(Cleans::works(1h, cleaned, late));
  group.cancel();
  const TimePoint began = time.now();
  run(base);
  EXPECT_EQ(cleaned, 1);
  EXPECT_EQ(late, 1);
  EXPECT_EQ(time.now() - began, 5s);
}

BACKEND_TEST(CancelTest, BetweenAWakeUpAndItsTurnDestroysNothingTwice) {
  Base base(options());
  co::Semaphore semaphore(0);
  const auto waits = [](co::Semaphore& permits) -> Task<> {
    co_await permits.acquire();
    const co::SemaphoreGuard guard(permits);
  };
  {
    TaskGroup group(base);
    group.spawn(waits(semaphore));
    semaphore.release();
    group.cancel();
  }
  run(base);
  EXPECT_EQ(semaphore.available(), 1U);
}

}  // namespace
}  // namespace event_cpp::test
