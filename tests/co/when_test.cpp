// with_timeout(), try_with_timeout(), when_all() and when_any().
#include <memory>
#include <optional>
#include <stdexcept>
#include <tuple>

#include "co/support.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using co::TaskGroup;

Task<int> gives_after(int value, Duration delay) {
  co_await co::sleep(delay);
  co_return value;
}

Task<int> gives_at_once(int value) { co_return value; }

Task<int> throws_after(Duration delay) {
  co_await co::sleep(delay);
  throw std::runtime_error("thrown");
}

Task<int> throws_at_once() {
  throw std::runtime_error("thrown");
  co_return 0;
}

// Goes on though it was cancelled, and gives a value.
Task<int> gives_anyway(int value) {
  try {
    co_await co::sleep(1h);
  } catch (const std::system_error&) {
  }
  co_return value;
}

Task<int> fails_to_clean_up() {
  try {
    co_await co::sleep(1h);
  } catch (const std::system_error&) {
    throw std::runtime_error("clean-up");
  }
  co_return 0;
}

class TimeoutOfTaskTest : public EveryBackendCo {
 protected:
  static Task<> discards(Task<int> task) { co_await std::move(task); }
  static Task<int> limited(Duration limit, Task<int> task) {
    const int value = co_await co::with_timeout(limit, std::move(task));
    co_return value;
  }
  static Task<std::optional<int>> tried(Duration limit, Task<int> task) {
    const std::optional<int> value = co_await co::try_with_timeout(limit, std::move(task));
    co_return value;
  }
};

TEST_P(TimeoutOfTaskTest, GivesTheValueOrThrowsThatTheTimeHasPassed) {
  Base base(options());
  EXPECT_EQ(run_task(base, limited(2s, gives_after(7, 1s))), 7);
  EXPECT_EQ(run_task(base, limited(1s, gives_at_once(8))), 8);
  EXPECT_EQ(run_task(base, error_of(discards(limited(1s, gives_after(7, 2s))))),
            std::errc::timed_out);
  EXPECT_EQ(run_task(base, tried(2s, gives_after(7, 1s))), 7);
  EXPECT_EQ(run_task(base, tried(1s, gives_after(7, 2s))), std::nullopt);
  EXPECT_EQ(base.size(), 0U) << "no timer is left behind";
}

TEST_P(TimeoutOfTaskTest, LetsTheTaskRunToItsFirstWaitIfTheLimitHasPassed) {
  Base base(options());
  for (const Duration limit : {Duration(0), Duration(-1s), Duration::min()}) {
    EXPECT_EQ(run_task(base, limited(limit, gives_at_once(8))), 8);
    EXPECT_EQ(run_task(base, tried(limit, gives_after(7, 1s))), std::nullopt);
  }
}

TEST_P(TimeoutOfTaskTest, GivesAValueThatComesTogetherWithTheLimit) {
  Base base(options());
  const TimePoint began = time.now();
  EXPECT_EQ(run_task(base, limited(1s, gives_after(7, 1s))), 7);
  EXPECT_EQ(run_task(base, limited(1s, gives_anyway(9))), 9);
  EXPECT_EQ(time.now() - began, 2s);
}

TEST_P(TimeoutOfTaskTest, ThrowsWhatTheTaskThrows) {
  Base base(options());
  EXPECT_THROW(run_task(base, limited(2s, throws_after(1s))), std::runtime_error);
  EXPECT_THROW(run_task(base, limited(1s, throws_at_once())), std::runtime_error);
  EXPECT_THROW(run_task(base, limited(1s, fails_to_clean_up())), std::runtime_error);
  EXPECT_THROW(run_task(base, tried(1s, fails_to_clean_up())), std::runtime_error);
}

TEST_P(TimeoutOfTaskTest, NeverComesIfItIsForEver) {
  Base base(options());
  EXPECT_EQ(run_task(base, limited(Duration::max(), gives_after(7, 24h * 1000))), 7);
}

TEST_P(TimeoutOfTaskTest, BelongsToTheLevelWhoseLimitHasPassed) {
  Base base(options());
  struct Levels {
    static Task<int> inner_first() {
      int caught = 0;
      try {
        co_await limited(2s, limited(1s, gives_after(7, 1h)));
      } catch (const std::system_error& error) {
        EXPECT_EQ(error.code(), std::errc::timed_out);
        ++caught;
      }
      const std::optional<int> inner = co_await tried(5s, swallows_timeout());
      EXPECT_EQ(inner, -1);
      co_return caught;
    }
    static Task<int> swallows_timeout() {
      const std::optional<int> value = co_await tried(1s, gives_after(7, 1h));
      EXPECT_FALSE(value.has_value());
      co_return -1;
    }
    static Task<int> outer_first() {
      int reached = 0;
      try {
        co_await limited(1s, counts_timeouts(reached));
      } catch (const std::system_error& error) {
        EXPECT_EQ(error.code(), std::errc::timed_out);
      }
      co_return reached;
    }
    static Task<int> counts_timeouts(int& reached) {
      try {
        co_await limited(2s, gives_after(7, 1h));
      } catch (const std::system_error& error) {
        if (error.code() == std::errc::timed_out) ++reached;
        throw;
      }
      co_return 0;
    }
  };
  EXPECT_EQ(run_task(base, Levels::inner_first()), 1);
  EXPECT_EQ(run_task(base, Levels::outer_first()), 0) << "the limit of two seconds has not passed";
}

TEST_P(TimeoutOfTaskTest, TakesWhateverCanBeAwaited) {
  Base base(options());
  const auto awaits = []() -> Task<> {
    co::Channel<int> channel(1);
    co_await co::with_timeout(1s, channel.send(3));
    const std::optional<std::optional<int>> got =
        co_await co::try_with_timeout(1s, channel.receive());
    EXPECT_EQ(got, std::optional<int>(3));
    const auto never = co_await co::try_with_timeout(1s, channel.receive());
    EXPECT_FALSE(never.has_value());
    const auto slept = co_await co::try_with_timeout(2s, co::sleep(1s));
    EXPECT_TRUE(slept.has_value());
    Base& here = co_await co::base();
    TaskGroup group(here);
    group.spawn(discards(gives_after(1, 1h)));
    const auto joined = co_await co::try_with_timeout(1s, group.join());
    EXPECT_FALSE(joined.has_value());
    EXPECT_EQ(group.size(), 0U);
  };
  run_task(base, awaits());
}

class WhenAllTest : public EveryBackendCo {
 protected:
  static Task<int> sum(Task<int> a, Task<int> b) {
    const std::tuple<int, int> both = co_await co::when_all(std::move(a), std::move(b));
    co_return std::get<0>(both) + std::get<1>(both);
  }
};

TEST_P(WhenAllTest, GivesEveryValue) {
  Base base(options());
  const TimePoint began = time.now();
  EXPECT_EQ(run_task(base, sum(gives_after(1, 2s), gives_after(2, 3s))), 3);
  EXPECT_EQ(time.now() - began, 3s);
  EXPECT_EQ(run_task(base, sum(gives_at_once(1), gives_after(2, 1s))), 3);
  EXPECT_EQ(run_task(base, sum(gives_at_once(1), gives_at_once(2))), 3);
}

TEST_P(WhenAllTest, CancelsTheOthersAndThrowsIfOneFails) {
  Base base(options());
  const TimePoint began = time.now();
  EXPECT_THROW(run_task(base, sum(gives_after(1, 1h), throws_after(1s))), std::runtime_error);
  EXPECT_THROW(run_task(base, sum(throws_at_once(), gives_after(1, 1h))), std::runtime_error);
  EXPECT_THROW(run_task(base, sum(gives_after(1, 1h), throws_at_once())), std::runtime_error);
  EXPECT_EQ(time.now() - began, 1s);
}

TEST_P(WhenAllTest, ThrowsIfOneOfTheTasksWasMovedFrom) {
  Base base(options());
  Task<int> task = gives_at_once(1);
  const Task<int> elsewhere = std::move(task);
  EXPECT_EQ(thrown_by([&] {
              run_task(base, sum(gives_after(1, 1h), std::move(task)));  // NOLINT
            }),
            std::errc::invalid_argument);
  EXPECT_EQ(base.size(), 0U);
}

class WhenAnyTest : public EveryBackendCo {
 protected:
  using Both = co::Any<int, int>;
  static Task<Both> any(Task<int> a, Task<int> b) {
    const Both both = co_await co::when_any(std::move(a), std::move(b));
    co_return both;
  }
};

TEST_P(WhenAnyTest, GivesTheFirstAndCancelsTheOthers) {
  Base base(options());
  const TimePoint began = time.now();
  Both both = run_task(base, any(gives_after(1, 1h), gives_after(2, 1s)));
  EXPECT_EQ(both.first, 1U);
  EXPECT_EQ(both.values, (std::tuple(std::optional<int>(), std::optional<int>(2))));
  both = run_task(base, any(gives_at_once(1), gives_after(2, 1h)));
  EXPECT_EQ(both.first, 0U);
  EXPECT_EQ(both.values, (std::tuple(std::optional<int>(1), std::optional<int>())));
  EXPECT_EQ(time.now() - began, 1s);
}

TEST_P(WhenAnyTest, GivesEveryValueOfThoseThatEndTogether) {
  Base base(options());
  co::Notification notification;
  const auto gives_when_notified = [](int value, co::Notification& when) -> Task<int> {
    co_await when.wait();
    co_return value;
  };
  base.post([&notification] { notification.notify_all(); });
  Both both = run_task(
      base, any(gives_when_notified(1, notification), gives_when_notified(2, notification)));
  EXPECT_EQ(both.first, 0U);
  EXPECT_EQ(both.values, (std::tuple(std::optional<int>(1), std::optional<int>(2))));
  both = run_task(base, any(gives_at_once(1), gives_at_once(2)));
  EXPECT_EQ(both.first, 0U);
  EXPECT_EQ(both.values, (std::tuple(std::optional<int>(1), std::optional<int>(2))));
  both = run_task(base, any(gives_anyway(1), gives_after(2, 1s)));
  EXPECT_EQ(both.first, 1U);
  EXPECT_EQ(both.values, (std::tuple(std::optional<int>(1), std::optional<int>(2))));
}

TEST_P(WhenAnyTest, ThrowsTheFailureOfTheFirstAndOfOneThatWasCancelled) {
  Base base(options());
  EXPECT_THROW(run_task(base, any(throws_after(1s), gives_after(2, 1h))), std::runtime_error);
  EXPECT_THROW(run_task(base, any(throws_at_once(), gives_after(2, 1h))), std::runtime_error);
  EXPECT_THROW(run_task(base, any(gives_after(2, 1s), fails_to_clean_up())), std::runtime_error);
}

TEST_P(WhenAnyTest, LosesNoValueOfAChannelThatComesTogetherWithALimit) {
  Base base(options());
  const auto awaits = []() -> Task<> {
    co::Channel<int> channel(0);
    Base& here = co_await co::base();
    TaskGroup group(here);
    const auto sends = [](co::Channel<int>& to) -> Task<> {
      co_await co::sleep(1s);
      co_await to.send(7);
    };
    group.spawn(sends(channel));
    const auto any = co_await co::when_any(co::sleep(1s), channel.receive());
    const auto got = std::get<1>(any.values);
    if (got.has_value()) {
      EXPECT_EQ(*got, std::optional<int>(7));
    } else {
      const std::optional<int> later = co_await channel.receive();
      EXPECT_EQ(later, 7);
    }
    co_await group.join();
  };
  run_task(base, awaits());
}

INSTANTIATE_TEST_SUITE_P(, TimeoutOfTaskTest, testing::ValuesIn(usable_backends()),
                         [](const auto& chosen) { return to_string(chosen.param); });
INSTANTIATE_TEST_SUITE_P(, WhenAllTest, testing::ValuesIn(usable_backends()),
                         [](const auto& chosen) { return to_string(chosen.param); });
INSTANTIATE_TEST_SUITE_P(, WhenAnyTest, testing::ValuesIn(usable_backends()),
                         [](const auto& chosen) { return to_string(chosen.param); });

}  // namespace
}  // namespace event_cpp::test
