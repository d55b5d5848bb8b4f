// when_all().
#include <stdexcept>
#include <tuple>

#include "co/values.hpp"

namespace event_cpp::test {
namespace {

using co::Task;

class WhenAllTest : public EveryBackendCo {
 protected:
  static Task<int> sum(Task<int> a, Task<int> b) {
    const std::tuple<int, int> both = co_await co::when_all(std::move(a), std::move(b));
    co_return std::get<0>(both) + std::get<1>(both);
  }
};

BACKEND_TEST(WhenAllTest, GivesEveryValue) {
  Base base(options());
  const TimePoint began = time.now();
  EXPECT_EQ(run_task(base, sum(gives_after(1, 2s), gives_after(2, 3s))), 3);
  EXPECT_EQ(time.now() - began, 3s);
  EXPECT_EQ(run_task(base, sum(gives_at_once(1), gives_after(2, 1s))), 3);
  EXPECT_EQ(run_task(base, sum(gives_at_once(1), gives_at_once(2))), 3);
}

BACKEND_TEST(WhenAllTest, CancelsTheOthersAndThrowsIfOneFails) {
  Base base(options());
  const TimePoint began = time.now();
  EXPECT_THROW(run_task(base, sum(gives_after(1, 1h), throws_after(1s))), std::runtime_error);
  EXPECT_THROW(run_task(base, sum(throws_at_once(), gives_after(1, 1h))), std::runtime_error);
  EXPECT_THROW(run_task(base, sum(gives_after(1, 1h), throws_at_once())), std::runtime_error);
  EXPECT_EQ(time.now() - began, 1s);
}

BACKEND_TEST(WhenAllTest, GivesNothingOfNothing) {
  Base base(options());
  const auto waits = []() -> Task<> {
    const std::tuple<> nothing = co_await co::when_all();
    EXPECT_EQ(std::tuple_size_v<decltype(nothing)>, 0U);
  };
  run_task(base, waits());
}

BACKEND_TEST(WhenAllTest, GivesAPlaceToATaskWithoutAValue) {
  Base base(options());
  const auto nothing = []() -> Task<> { co_await co::yield(); };
  const auto waits = [nothing]() -> Task<int> {
    const std::tuple<int, co::Value<void>> both =
        co_await co::when_all(gives_after(1, 1s), nothing());
    co_return std::get<0>(both);
  };
  EXPECT_EQ(run_task(base, waits()), 1);
}

BACKEND_TEST(WhenAllTest, ThrowsIfOneOfTheTasksWasMovedFrom) {
  Base base(options());
  Task<int> task = gives_at_once(1);
  const Task<int> elsewhere = std::move(task);
  EXPECT_EQ(thrown_by([&] {
              run_task(base, sum(gives_after(1, 1h), std::move(task)));  // NOLINT
            }),
            std::errc::invalid_argument);
  EXPECT_EQ(base.size(), 0U);
}

}  // namespace
}  // namespace event_cpp::test
