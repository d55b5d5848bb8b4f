// when_any().
#include <optional>
#include <stdexcept>
#include <tuple>

#include "co/values.hpp"

namespace event_cpp::test {
namespace {

using co::Task;
using co::TaskGroup;

class WhenAnyTest : public EveryBackendCo {
 protected:
  using Both = co::Any<int, int>;
  static Task<Both> any(Task<int> a, Task<int> b) {
    const Both both = co_await co::when_any(std::move(a), std::move(b));
    co_return both;
  }
};

BACKEND_TEST(WhenAnyTest, GivesTheFirstAndCancelsTheOthers) {
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

BACKEND_TEST(WhenAnyTest, GivesEveryValueOfThoseThatEndTogether) {
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

BACKEND_TEST(WhenAnyTest, ThrowsTheFailureOfTheFirstAndOfOneThatWasCancelled) {
  Base base(options());
  EXPECT_THROW(run_task(base, any(throws_after(1s), gives_after(2, 1h))), std::runtime_error);
  EXPECT_THROW(run_task(base, any(throws_at_once(), gives_after(2, 1h))), std::runtime_error);
  EXPECT_THROW(run_task(base, any(gives_after(2, 1s), fails_to_clean_up())), std::runtime_error);
}

BACKEND_TEST(WhenAnyTest, LosesNoValueOfAChannelThatComesTogetherWithALimit) {
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

}  // namespace
}  // namespace event_cpp::test
