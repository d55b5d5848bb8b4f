// with_timeout() and try_with_timeout().
#include <optional>
#include <stdexcept>

#include "co/values.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using co::TaskGroup;

class WithTimeoutTest : public EveryBackendCo {
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

BACKEND_TEST(WithTimeoutTest, GivesTheValueOrThrowsThatTheTimeHasPassed) {
  Base base(options());
  EXPECT_EQ(run_task(base, limited(2s, gives_after(7, 1s))), 7);
  EXPECT_EQ(run_task(base, limited(1s, gives_at_once(8))), 8);
  EXPECT_EQ(run_task(base, error_of(discards(limited(1s, gives_after(7, 2s))))),
            std::errc::timed_out);
  EXPECT_EQ(run_task(base, tried(2s, gives_after(7, 1s))), 7);
  EXPECT_EQ(run_task(base, tried(1s, gives_after(7, 2s))), std::nullopt);
  EXPECT_EQ(base.size(), 0U) << "no timer is left behind";
}

BACKEND_TEST(WithTimeoutTest, LetsTheTaskRunToItsFirstWaitIfTheLimitHasPassed) {
  Base base(options());
  for (const Duration limit : {Duration(0), Duration(-1s), Duration::min()}) {
    EXPECT_EQ(run_task(base, limited(limit, gives_at_once(8))), 8);
    EXPECT_EQ(run_task(base, tried(limit, gives_after(7, 1s))), std::nullopt);
  }
}

BACKEND_TEST(WithTimeoutTest, GivesAValueThatComesTogetherWithTheLimit) {
  Base base(options());
  const TimePoint began = time.now();
  EXPECT_EQ(run_task(base, limited(1s, gives_after(7, 1s))), 7);
  EXPECT_EQ(run_task(base, limited(1s, gives_anyway(9))), 9);
  EXPECT_EQ(time.now() - began, 2s);
}

BACKEND_TEST(WithTimeoutTest, ThrowsWhatTheTaskThrows) {
  Base base(options());
  EXPECT_THROW(run_task(base, limited(2s, throws_after(1s))), std::runtime_error);
  EXPECT_THROW(run_task(base, limited(1s, throws_at_once())), std::runtime_error);
  EXPECT_THROW(run_task(base, limited(1s, fails_to_clean_up())), std::runtime_error);
  EXPECT_THROW(run_task(base, tried(1s, fails_to_clean_up())), std::runtime_error);
}

BACKEND_TEST(WithTimeoutTest, NeverComesIfItIsForEver) {
  Base base(options());
  EXPECT_EQ(run_task(base, limited(Duration::max(), gives_after(7, 24h * 1000))), 7);
}

BACKEND_TEST(WithTimeoutTest, BelongsToTheLevelWhoseLimitHasPassed) {
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

BACKEND_TEST(WithTimeoutTest, TakesWhateverCanBeAwaited) {
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

}  // namespace
}  // namespace event_cpp::test
