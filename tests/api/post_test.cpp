// Functions posted to a base, from its own thread and from others.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "support/every_backend.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class PostTest : public EveryBackend {};

BACKEND_TEST(PostTest, RunsPostedFunctionsInOrder) {
  Base base(options());
  Order expected;
  for (int i = 0; i < 1000; ++i) {
    base.post(recorder.note(i));
    expected.push_back(i);
  }

  EXPECT_EQ(run(base), 1000U) << "what is posted keeps it alive";

  EXPECT_EQ(recorder.order, expected);
}

BACKEND_TEST(PostTest, RunsWhatACallbackPostsInTheNextIteration) {
  Base base(options());
  Timer timer(base, [&] {
    base.post([&] {
      recorder.order.push_back(1);
      base.post(recorder.note(2));
    });
  });
  timer.attach();

  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(PostTest, RunsPostedFunctionsByPriority) {
  Base base(options());
  for (int i = 0; i < 9; ++i) base.post(recorder.note(i), Priority(2 - i % 3));

  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.order, (Order{2, 5, 8, 1, 4, 7, 0, 3, 6}));
}

BACKEND_TEST(PostTest, RunsAMoreUrgentPostAfterTheSliceOfALessUrgentRow) {
  Options chosen = options();
  chosen.slice = 4;
  Base base(chosen);
  std::vector<int> order;
  for (int i = 0; i < 12; ++i) {
    base.post(
        [&base, &order, i] {
          order.push_back(i);
          if (i == 1) base.post([&order] { order.push_back(-1); }, Priority::high);
        },
        Priority::low);
  }

  run(base);

  EXPECT_EQ(order, (std::vector{0, 1, 2, 3, -1, 4, 5, 6, 7, 8, 9, 10, 11}));
}

BACKEND_TEST(PostTest, LooksAtNothingBetweenTheSlicesOfARowWithNothingMoreUrgent) {
  Options chosen = options();
  chosen.slice = 4;
  Base base(chosen);
  for (int i = 0; i < 100; ++i) base.post([&base] { base.post([] {}); });
  const std::uint64_t before = base.stats().waits;

  base.loop(RunMode::nonblock);

  EXPECT_EQ(base.stats().waits, before + 1);
}

BACKEND_TEST(PostTest, EndsARowOfPostsWhereItIsToldToStopNow) {
  Base base(options());
  std::vector<int> order;
  for (int i = 0; i < 5; ++i) {
    base.post([&base, &order, i] {
      order.push_back(i);
      if (i == 1) base.stop_now();
    });
  }

  run(base);
  EXPECT_EQ(order, (std::vector{0, 1}));
  EXPECT_EQ(base.stats().active, 3U);

  run(base);
  EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4}));
}

BACKEND_TEST(PostTest, RunsTheRestOfARowOfPostsAfterOneThatThrows) {
  Base base(options());
  std::vector<int> order;
  for (int i = 0; i < 5; ++i) {
    base.post([&order, i] {
      order.push_back(i);
      if (i == 2) throw i;
    });
  }

  EXPECT_THROW(run(base), int);
  EXPECT_EQ(base.stats().active, 2U);
  run(base);

  EXPECT_EQ(order, (std::vector{0, 1, 2, 3, 4}));
}

BACKEND_TEST(PostTest, PostsCallablesOfAnySizeAndThoseThatOnlyMove) {
  Base base(options());
  int sum = 0;
  std::array<int, 100> large{};
  large.fill(1);

  base.post([&sum] { sum += 1; });
  base.post([&sum, owned = std::make_unique<int>(10)] { sum += *owned; });
  base.post([&sum, large] {
    for (const int each : large) sum += each;
  });
  base.post([&sum, keep = std::make_shared<int>(1000)]() mutable {
    sum += *std::exchange(keep, nullptr);
  });
  run(base);

  EXPECT_EQ(sum, 1111);
}

BACKEND_TEST(PostTest, IgnoresWhatAPostedFunctionReturns) {
  Base base(options());

  base.post([] { return 7; });

  EXPECT_EQ(run(base), 1U);
}

BACKEND_TEST(PostTest, RunsThePostsOfOneThreadInOrderAndLosesNone) {
  constexpr int kThreads = 8, kPosts = 10'000;
  Base base(real_time());
  std::vector<Order> seen(kThreads);
  int left = kThreads * kPosts;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kPosts; ++i) {
        base.post([&, t, i] {
          seen[static_cast<std::size_t>(t)].push_back(i);
          if (--left == 0) base.stop();
        });
      }
    });
  }

  run(base, RunMode::keep_alive);
  for (std::thread& thread : threads) thread.join();

  Order expected;
  for (int i = 0; i < kPosts; ++i) expected.push_back(i);
  for (const Order& order : seen) EXPECT_EQ(order, expected);
}

BACKEND_TEST(PostTest, RunsThePostsOfAThreadInOrderWithinEachPriority) {
  Base base(real_time());
  std::array<Order, 3> seen;
  std::thread other([&] {
    for (int i = 0; i < 3000; ++i) {
      base.post([&seen, i] { seen[static_cast<std::size_t>(i % 3)].push_back(i); },
                Priority(i % 3));
    }
    base.post([&] { base.stop(); }, Priority::low);
  });

  run(base, RunMode::keep_alive);
  other.join();

  for (const Order& order : seen) {
    EXPECT_EQ(order.size(), 1000U);
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  }
}

BACKEND_TEST(PostTest, WakesForEachPostThatFindsItAsleep) {
  Base base(real_time());
  Timer timer(base, Never());
  timer.attach(1h);
  std::atomic<int> ran = 0;
  std::thread other([&] {
    for (int i = 1; i <= 1000; ++i) {
      base.post([&] {
        ++ran;
        ran.notify_one();
      });
      for (int seen = ran; seen != i; seen = ran) ran.wait(seen);
    }
    base.stop();
  });

  EXPECT_EQ(run(base), 1000U);
  other.join();
}

BACKEND_TEST(PostTest, ServesOtherEventsWhileThreadsPost) {
  Base base(real_time());
  const Pipe pipe = readable_pipe();
  std::atomic<bool> stopped = false;
  std::atomic<int> waiting = 0;
  int served = 0, ticks = 0;
  Event ready(base, pipe.reader.get(), Events::read | Events::persist, [&] { ++served; });
  Ticker ticker(base, [&] {
    if (++ticks == 20) base.stop();
  });
  ready.attach();
  ticker.attach(1ms);
  std::thread other([&] {
    while (!stopped) {
      if (waiting >= 1000) continue;  // no more than the base can take
      ++waiting;
      base.post([&] { --waiting; });
    }
  });

  run(base);
  stopped = true;
  other.join();

  EXPECT_EQ(ticks, 20);
  EXPECT_GE(served, 20);
}

BACKEND_TEST(PostTest, AcceptsPostsAndStopsBeforeItEverRan) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, Never());
  event.attach();
  std::thread other([&] {
    base.post(recorder.note(1));
    base.stop();
  });
  other.join();

  EXPECT_EQ(run(base), 0U) << "it was stopped";
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(PostTest, DropsWhatIsPostedWhenItIsDestroyed) {
  const auto shared = std::make_shared<int>(0);
  {
    Base base(options());
    for (int i = 0; i < 100; ++i) base.post([shared] { ADD_FAILURE(); }, Priority(i % 3));
    base.post([shared, padding = std::array<char, 100>()] { ADD_FAILURE() << padding[0]; });
  }
  EXPECT_EQ(shared.use_count(), 1);
}

BACKEND_TEST(PostTest, AttachesEventsFromPostedFunctions) {
  Base base(real_time());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, [&] { base.stop(); });
  std::thread other([&] { base.post([&] { event.attach(); }); });

  EXPECT_EQ(run(base, RunMode::keep_alive), 2U);
  other.join();
}

// The wake-up.

// How often the wake-up of a base was written to since it was read; -1 if that cannot be seen.
long unread_wake_ups(int event_descriptor) {
  std::ifstream info("/proc/self/fdinfo/" + std::to_string(event_descriptor));
  for (std::string word; info >> word;) {
    long count = -1;
    if (word == "eventfd-count:" && info >> std::hex >> count) return count;
  }
  return -1;
}

bool fill_counter(int event_descriptor) {
  constexpr std::uint64_t kMost = ~std::uint64_t{0} - 1;
  return ::write(event_descriptor, &kMost, sizeof kMost) == sizeof kMost;
}

BACKEND_TEST(PostTest, WakesItselfOnceForManyPosts) {
  const std::set<int> before = open_descriptors();
  Base base(options());
  const int wake_up = new_descriptor(before, "eventfd");
  if (wake_up < 0) GTEST_SKIP() << "no event descriptor to look into";

  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) base.post([] {});
  });
  other.join();
  EXPECT_LE(unread_wake_ups(wake_up), 1);

  EXPECT_EQ(run(base), 1000U);
}

BACKEND_TEST(PostTest, DoesNotBlockOnAWakeUpThatIsFull) {
  const std::set<int> before = open_descriptors();
  Base base(real_time());
  const int wake_up = new_descriptor(before, "eventfd");
  if (wake_up < 0) GTEST_SKIP() << "no event descriptor to fill";
  Timer timer(base, Never());
  timer.attach(1h);
  ASSERT_TRUE(fill_counter(wake_up));

  std::thread other([&] {
    base.post(recorder.note(1));
    base.post([&] { base.stop(); });
  });
  EXPECT_EQ(run(base), 2U);
  other.join();

  EXPECT_EQ(recorder.order, Order{1});
}

}  // namespace
}  // namespace event_cpp::test
