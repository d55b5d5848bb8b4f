// Channel: order, capacity, closing, and values that are never lost.
#include <memory>
#include <optional>
#include <vector>

#include "co/support.hpp"
#include "support/failing_new.hpp"
#include "support/tracked.hpp"

namespace event_cpp::test {
namespace {

using co::Channel;
using co::Task;
using co::TaskGroup;

Task<> sends_range(Channel<int>& to, int first, int count) {
  for (int i = 0; i < count; ++i) co_await to.send(first + i);
}

Task<> receives_into(Channel<int>& from, std::vector<int>& got) {
  for (;;) {
    const std::optional<int> value = co_await from.receive();
    if (!value.has_value()) break;
    got.push_back(*value);
  }
}

Task<> receives_one(Channel<int>& from, std::vector<int>& got) {
  const std::optional<int> value = co_await from.receive();
  got.push_back(value.value_or(-1));
}

std::vector<int> range(int first, int count) {
  std::vector<int> all;
  for (int i = 0; i < count; ++i) all.push_back(first + i);
  return all;
}

class ChannelTest : public EveryBackendCo {};

BACKEND_TEST(ChannelTest, HandsValuesOverInTheirOrderWhateverItsCapacity) {
  for (const std::size_t capacity : {0U, 1U, 3U, 1000U}) {
    Base base(options());
    Channel<int> channel(capacity);
    TaskGroup group(base);
    std::vector<int> got;
    group.spawn(sends_range(channel, 0, 100));
    EXPECT_LE(channel.size(), capacity);
    group.spawn(receives_into(channel, got));
    run(base);
    channel.close();
    run(base);
    EXPECT_EQ(got, range(0, 100));
    EXPECT_EQ(group.size(), 0U);
  }
}

BACKEND_TEST(ChannelTest, TakesAndGivesAtOnceWithoutATask) {
  Base base(options());
  Channel<std::unique_ptr<int>> channel(1);
  EXPECT_FALSE(channel.try_receive().has_value());
  auto value = std::make_unique<int>(1);
  EXPECT_TRUE(channel.try_send(std::move(value)));
  auto another = std::make_unique<int>(2);
  EXPECT_FALSE(channel.try_send(std::move(another))) << "it is full";
  EXPECT_NE(another, nullptr) << "and leaves the value alone";
  EXPECT_EQ(**channel.try_receive(), 1);
  channel.close();
  EXPECT_FALSE(channel.try_send(std::move(another)));
}

BACKEND_TEST(ChannelTest, TakesFromACallbackWhatATaskWaitsFor) {
  Base base(options());
  Channel<int> channel(0);
  TaskGroup group(base);
  std::vector<int> got;
  group.spawn(receives_one(channel, got));
  base.after(1s, [&] { EXPECT_TRUE(channel.try_send(7)); });
  run(base);
  EXPECT_EQ(got, std::vector<int>{7});
}

BACKEND_TEST(ChannelTest, GivesWhatItHasAfterItWasClosedAndThenNothing) {
  Base base(options());
  Channel<int> channel(5);
  TaskGroup group(base);
  std::vector<int> got;
  group.spawn(sends_range(channel, 0, 3));
  channel.close();
  channel.close();
  EXPECT_TRUE(channel.closed());
  group.spawn(receives_into(channel, got));
  run(base);
  EXPECT_EQ(got, range(0, 3));
  EXPECT_EQ(run_task(base, error_of(sends_range(channel, 9, 1))), std::errc::broken_pipe);
}

BACKEND_TEST(ChannelTest, WakesEverybodyWhenItIsClosedOrDestroyed) {
  for (const bool destroyed : {false, true}) {
    Base base(options());
    std::optional<Channel<int>> full(std::in_place, 0U);
    std::optional<Channel<int>> empty(std::in_place, 1U);
    TaskGroup group(base);
    std::vector<int> got;
    int broken = 0;
    const auto sends = [](Channel<int>& to, int& count) -> Task<> {
      const std::error_code code = co_await error_of(sends_range(to, 0, 1));
      EXPECT_EQ(code, std::errc::broken_pipe);
      ++count;
    };
    for (int i = 0; i < 3; ++i) {
      group.spawn(sends(*full, broken));
      group.spawn(receives_one(*empty, got));
    }
    full->close();
    empty->close();
    if (destroyed) {
      full.reset();
      empty.reset();
    }
    run(base);
    EXPECT_EQ(broken, 3);
    EXPECT_EQ(got, (std::vector<int>{-1, -1, -1}));
  }
}

BACKEND_TEST(ChannelTest, MayGoWhileAValueIsOnItsWayToATask) {
  Base base(options());
  std::optional<Channel<int>> channel(std::in_place, 1U);
  TaskGroup group(base);
  std::vector<int> got;
  group.spawn(receives_one(*channel, got));
  group.spawn(receives_one(*channel, got));
  group.spawn(sends_range(*channel, 7, 1));
  channel.reset();
  run(base);
  EXPECT_EQ(got, (std::vector<int>{7, -1}));
}

BACKEND_TEST(ChannelTest, GivesAValueOfADestroyedReceiverToTheNextOne) {
  Base base(options());
  Channel<int> channel(1);
  std::vector<int> got;
  std::optional<TaskGroup> first(std::in_place, base);
  TaskGroup second(base);
  first->spawn(receives_one(channel, got));
  second.spawn(receives_one(channel, got));
  second.spawn(sends_range(channel, 7, 1));
  first.reset();
  run(base);
  EXPECT_EQ(got, (std::vector<int>{7}));
  EXPECT_EQ(channel.size(), 0U);
}

BACKEND_TEST(ChannelTest, KeepsTheOrderIfReceiversAreDestroyedWithTheirValues) {
  for (const int destroyed : {1, 2, 3}) {
    Base base(options());
    Channel<int> channel(5);
    std::vector<int> got;
    std::optional<TaskGroup> first(std::in_place, base);
    TaskGroup second(base);
    for (int i = 0; i < destroyed; ++i) first->spawn(receives_one(channel, got));
    second.spawn(receives_one(channel, got));
    second.spawn(sends_range(channel, 0, destroyed + 1));
    first.reset();
    const auto closes = [](Channel<int>& it) -> Task<> {
      co_await co::yield();
      it.close();
    };
    base.loop(RunMode::nonblock);
    second.spawn(closes(channel));
    second.spawn(receives_into(channel, got));
    run(base);
    EXPECT_EQ(got, range(0, destroyed + 1));
  }
}

BACKEND_TEST(ChannelTest, DropsTheValueOfASendThatIsCancelled) {
  Base base(options());
  Channel<int> channel(0);
  TaskGroup cancelled(base);
  TaskGroup others(base);
  std::vector<int> got;
  cancelled.spawn(sends_range(channel, 1, 1));
  others.spawn(sends_range(channel, 2, 1));
  cancelled.cancel();
  others.spawn(receives_one(channel, got));
  run(base);
  EXPECT_EQ(got, (std::vector<int>{2}));
}

BACKEND_TEST(ChannelTest, NeitherLosesNorCopiesValuesThatOnlyMove) {
  Base base(options());
  int alive = 0;
  {
    Channel<std::unique_ptr<Tracked>> channel(2);
    TaskGroup group(base);
    const auto sends = [](Channel<std::unique_ptr<Tracked>>& to, int& count) -> Task<> {
      for (int i = 0; i < 10; ++i) {
        auto value = std::make_unique<Tracked>(count);
        co_await to.send(std::move(value));
      }
    };
    const auto receives = [](Channel<std::unique_ptr<Tracked>>& from) -> Task<> {
      for (int i = 0; i < 5; ++i) {
        const auto value = co_await from.receive();
        EXPECT_TRUE(value.has_value());
      }
    };
    group.spawn(sends(channel, alive));
    group.spawn(receives(channel));
    run(base);
    EXPECT_EQ(alive, 3) << "two in the channel, one with the task that sends";
  }
  EXPECT_EQ(alive, 0);
}

BACKEND_TEST(ChannelTest, PassesAMillionValuesThroughOneThatIsNeverFull) {
  Base base(options());
  const auto loops = []() -> Task<int> {
    Channel<int> channel(1);
    int sum = 0;
    for (int i = 0; i < 500'000; ++i) {
      co_await channel.send(1);
      const std::optional<int> one = co_await channel.receive();
      sum += *one;
    }
    co_return sum;
  };
  EXPECT_EQ(run_task(base, loops()), 500'000);
}

BACKEND_TEST(ChannelTest, LetsOthersHaveTheirTurnThoughItIsAlwaysReady) {
  struct Loops {
    static Task<> plain(Channel<int>& channel) {
      co_await channel.send(1);
      co_await channel.receive();
    }
    static Task<> limited(Channel<int>& channel) {
      co_await channel.send(1);
      co_await co::with_timeout(1h, channel.receive());
    }
    static Task<> all(Channel<int>& channel) {
      co_await channel.send(1);
      co_await co::when_all(channel.receive());
    }
    static Task<> any(Channel<int>& channel) {
      co_await channel.send(1);
      co_await co::when_any(channel.receive());
    }
    static Task<> joins(Channel<int>& /*channel*/) {
      Base& here = co_await co::base();
      TaskGroup nobody(here);
      co_await nobody.join();
    }
    static Task<> repeats(Task<> (*once)(Channel<int>&), const bool& stop) {
      Channel<int> channel(1);
      while (!stop) co_await once(channel);
    }
    static Task<> stops(bool& stop) {
      for (int i = 0; i < 10; ++i) co_await co::yield();
      stop = true;
    }
  };
  for (auto* const once :
       {&Loops::plain, &Loops::limited, &Loops::all, &Loops::any, &Loops::joins}) {
    Base base(options());
    TaskGroup group(base);
    bool stop = false;
    group.spawn(Loops::stops(stop));
    group.spawn(Loops::repeats(once, stop));
    run(base);
    EXPECT_TRUE(stop);
    EXPECT_EQ(group.size(), 0U);
  }
}

BACKEND_TEST(ChannelTest, LosesNothingIfThereIsNoMemoryForAValue) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be replaced here";
  EXPECT_THROW(
      {
        const FailingNew failing;
        const Channel<int> channel(1);
      },
      std::bad_alloc);

  Base base(options());
  Channel<int> channel(1'000);
  TaskGroup group(base);
  std::vector<int> got;
  got.reserve(10'000);
  int failures = 0;
  const auto sends = [](Channel<int>& to, int& failed) -> Task<> {
    for (int i = 0; i < 5'000; ++i) {
      bool sent = false;
      while (!sent) {
        try {
          co_await to.send(i);
          sent = true;
        } catch (const std::bad_alloc&) {
          ++failed;
        }
        co_await co::yield();
      }
    }
    to.close();
  };
  group.spawn(sends(channel, failures));
  for (int i = 0; i < 600; ++i) {
    const FailingNew failing;
    base.loop(RunMode::nonblock);
  }
  group.spawn(receives_into(channel, got));
  run(base);
  EXPECT_GT(failures, 0);
  EXPECT_EQ(got, range(0, 5'000));
}

}  // namespace
}  // namespace event_cpp::test
