// Functions on their way from other threads: none is lost, none comes twice, and in order.
#include "loop/post_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "support/failing_new.hpp"
#include "support/seeded_random.hpp"

namespace event_cpp::test {
namespace {

using detail::PostQueue;
using detail::Task;

constexpr Priority kPriorities[] = {Priority::high, Priority::middle, Priority::low};
constexpr auto kNobodyToWake = [](std::size_t) {};
constexpr auto kEnoughRoom = [](Priority) {};

constexpr std::size_t index(Priority priority) { return static_cast<std::size_t>(priority); }

// The loop's end of a queue, which counts what is ready as the active queues of a loop do.
class Taker {
 public:
  explicit Taker(PostQueue& queue) : queue_(queue) {}

  template <class Reserve>
  void take(Reserve&& reserve) {
    queue_.take(reserve, [this](Priority p, std::size_t count) { ready_[index(p)] += count; });
  }
  void take() { take(kEnoughRoom); }

  std::size_t ready(Priority priority) const { return ready_[index(priority)]; }

  bool run_one(Priority priority) {
    if (ready(priority) == 0) return false;
    --ready_[index(priority)];
    queue_.run(priority);
    return true;
  }

  void run_all() {
    for (const Priority priority : kPriorities) {
      while (run_one(priority)) {
      }
    }
  }

 private:
  PostQueue& queue_;
  std::array<std::size_t, 3> ready_{};
};

class PostQueueTest : public testing::Test {
 protected:
  // Posts a function that notes `number` when it runs.
  void post(int number, Priority priority = Priority::middle) {
    queue.push(Task([this, number] { ran.push_back(number); }), priority, kNobodyToWake);
  }

  std::vector<int> ran;
  PostQueue queue;
  Taker taker{queue};
};

TEST_F(PostQueueTest, HasAFunctionReadyOnceItWasTaken) {
  post(1);
  post(2, Priority::low);
  EXPECT_EQ(taker.ready(Priority::middle), 0U);

  taker.take();

  EXPECT_EQ(taker.ready(Priority::high), 0U);
  EXPECT_EQ(taker.ready(Priority::middle), 1U);
  EXPECT_EQ(taker.ready(Priority::low), 1U);
}

TEST_F(PostQueueTest, RunsFunctionsInOrder) {
  for (int i = 0; i < 5; ++i) post(i);

  taker.take();
  taker.run_all();

  EXPECT_EQ(ran, (std::vector{0, 1, 2, 3, 4}));
}

TEST_F(PostQueueTest, RunsThoseFirstThatWereTakenBefore) {
  for (int i = 0; i < 3; ++i) post(i);
  taker.take();
  taker.run_one(Priority::middle);
  for (int i = 3; i < 6; ++i) post(i);

  taker.take();
  taker.run_all();

  EXPECT_EQ(ran, (std::vector{0, 1, 2, 3, 4, 5}));
}

TEST_F(PostQueueTest, WakesTheLoopForTheFirstOfAPriority) {
  std::vector<std::size_t> woken_for;
  const auto push = [&](Priority priority) {
    queue.push(Task([] {}), priority, [&](std::size_t level) { woken_for.push_back(level); });
  };
  push(Priority::low);
  push(Priority::low);
  push(Priority::high);
  EXPECT_EQ(woken_for, (std::vector<std::size_t>{2, 0}));

  taker.take();
  push(Priority::low);
  EXPECT_EQ(woken_for, (std::vector<std::size_t>{2, 0, 2}));
}

TEST_F(PostQueueTest, DestroysAFunctionRunOrNot) {
  const auto owned = std::make_shared<int>(0);
  {
    PostQueue other;
    Taker other_taker(other);
    for (int i = 0; i < 10; ++i) {
      other.push(Task([owned] { ++*owned; }), kPriorities[i % 3], kNobodyToWake);
      if (i == 5) other_taker.take();
    }
    other_taker.run_one(Priority::high);
    EXPECT_EQ(*owned, 1);
    EXPECT_EQ(owned.use_count(), 10) << "the one that ran is gone";
  }
  EXPECT_EQ(owned.use_count(), 1);
}

TEST_F(PostQueueTest, KeepsAllIfThereWasNoRoomToTakeThem) {
  post(1, Priority::high);
  post(2, Priority::middle);
  post(3, Priority::low);

  EXPECT_THROW(taker.take([](Priority p) {
    if (p == Priority::middle) throw std::bad_alloc();
  }),
               std::bad_alloc);
  EXPECT_EQ(taker.ready(Priority::high), 1U);
  EXPECT_EQ(taker.ready(Priority::middle), 0U);
  taker.take();
  taker.run_all();

  EXPECT_EQ(ran, (std::vector{1, 2, 3}));
}

TEST_F(PostQueueTest, WakesNobodyWhileOneWaitsThatThereWasNoRoomFor) {
  post(1, Priority::high);
  post(2, Priority::low);
  const auto no_room_for_low = [](Priority p) {
    if (p == Priority::low) throw std::bad_alloc();
  };
  EXPECT_THROW(taker.take(no_room_for_low), std::bad_alloc);
  bool woken = false;

  queue.push(Task([] {}), Priority::low, [&](std::size_t) { woken = true; });

  EXPECT_FALSE(woken);
}

TEST_F(PostQueueTest, MakesRoomOnceForARowOfAPriority) {
  std::vector<Priority> reserved;
  post(1, Priority::low);
  post(2, Priority::low);

  taker.take([&](Priority p) { reserved.push_back(p); });

  EXPECT_EQ(reserved, std::vector{Priority::low});
  EXPECT_EQ(taker.ready(Priority::low), 2U);
}

TEST_F(PostQueueTest, LeavesThePosterItsFunctionIfThereIsNoMemory) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  const auto owned = std::make_shared<int>(0);
  Task task([owned] { ++*owned; });
  bool woken = false;
  {
    const FailingNew now;
    EXPECT_THROW(queue.push(std::move(task), Priority::middle, [&](std::size_t) { woken = true; }),
                 std::bad_alloc);
  }
  EXPECT_FALSE(woken);
  taker.take();
  EXPECT_EQ(taker.ready(Priority::middle), 0U);

  queue.push(std::move(task), Priority::middle, [&](std::size_t) { woken = true; });
  taker.take();
  taker.run_all();
  EXPECT_TRUE(woken);
  EXPECT_EQ(*owned, 1);
}

TEST_F(PostQueueTest, IsTakenFromWithoutMemory) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  for (int i = 0; i < 3; ++i) post(i);
  taker.take();
  taker.run_one(Priority::middle);
  for (int i = 3; i < 100; ++i) post(i);
  {
    const FailingNew now;
    taker.take();
  }
  EXPECT_EQ(taker.ready(Priority::middle), 99U);

  taker.run_all();

  ASSERT_EQ(ran.size(), 100U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ran[static_cast<std::size_t>(i)], i);
}

TEST_F(PostQueueTest, NeedsNoMemoryAfterTheFirstFewRounds) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be counted here";
  const auto round = [this] {
    for (int i = 0; i < 100; ++i) queue.push(Task([] {}), Priority::middle, kNobodyToWake);
    taker.take();
    taker.run_all();
  };
  for (int i = 0; i < 3; ++i) round();
  const CountingNew calls;

  for (int i = 0; i < 100; ++i) round();

  EXPECT_EQ(calls.count(), 0U);
}

TEST_F(PostQueueTest, NeedsLittleMemoryHoweverManyComeWhileSomeWait) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be counted here";
  for (int i = 0; i < 10; ++i) post(i);
  taker.take();
  ran.reserve(100'000);
  const CountingNew calls;

  for (int i = 10; i < 50'000; ++i) {
    post(i);
    taker.take();
    taker.run_one(Priority::middle);
  }

  EXPECT_LE(calls.count(), 10U);
  EXPECT_TRUE(std::is_sorted(ran.begin(), ran.end()));
}

TEST_F(PostQueueTest, DoesWhatAModelDoes) {
  for (const unsigned seed : kSeeds) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    PostQueue posts;
    Taker loop(posts);
    int last = -1;
    std::array<std::deque<int>, 3> waiting;
    std::array<std::deque<int>, 3> ready;
    for (int step = 0; step < 20'000; ++step) {
      const Priority priority = kPriorities[random.below(3)];
      if (random.one_in(10)) {
        loop.take();
        for (std::size_t p = 0; p < 3; ++p) {
          ready[p].insert(ready[p].end(), waiting[p].begin(), waiting[p].end());
          waiting[p].clear();
        }
      } else if (random.one_in(2)) {
        posts.push(Task([&last, step] { last = step; }), priority, kNobodyToWake);
        waiting[index(priority)].push_back(step);
      } else if (loop.run_one(priority)) {
        ASSERT_EQ(last, ready[index(priority)].front());
        ready[index(priority)].pop_front();
      }
      ASSERT_EQ(loop.ready(priority), ready[index(priority)].size());
    }
  }
}

TEST_F(PostQueueTest, GivesTheMemoryOfABurstBackAndStillWorks) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be counted here";
  const auto burst = [this] {
    for (int i = 0; i < 10'000; ++i) queue.push(Task([] {}), Priority::middle, kNobodyToWake);
    taker.take();
    taker.run_all();
  };
  for (int i = 0; i < 3; ++i) burst();
  queue.shrink(20'000'000);
  const CountingNew nothing;
  burst();
  EXPECT_EQ(nothing.count(), 0U) << "there was no more than it may keep";

  queue.shrink(100);
  const CountingNew calls;
  burst();
  EXPECT_GE(calls.count(), 1U);
}

TEST_F(PostQueueTest, KeepsMemoryForThoseThatWait) {
  for (int i = 0; i < 10'000; ++i) post(i);
  queue.shrink(0);
  taker.take();
  queue.shrink(0);
  for (int i = 10'000; i < 10'100; ++i) post(i);
  taker.take();
  taker.run_all();
  ASSERT_EQ(ran.size(), 10'100U);
  EXPECT_TRUE(std::is_sorted(ran.begin(), ran.end()));
}

TEST_F(PostQueueTest, KeepsTheOrderOfEachThreadAndPriority) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 3'000;
  std::array<std::array<int, 3>, kThreads> next{};
  std::atomic<int> wakes{0};
  int count = 0;
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kPosts; ++i) {
        for (const Priority priority : kPriorities) {
          auto number = std::make_unique<int>(i);
          int& expected = next[thread][index(priority)];
          Task task([&count, &expected, number = std::move(number)] {
            EXPECT_EQ(*number, expected++);
            ++count;
          });
          queue.push(std::move(task), priority, [&](std::size_t) { ++wakes; });
        }
      }
    });
  }

  while (count < kThreads * kPosts * 3) {
    taker.take();
    taker.run_all();
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_GE(wakes.load(), 1);
  EXPECT_EQ(count, kThreads * kPosts * 3);
}

}  // namespace
}  // namespace event_cpp::test
