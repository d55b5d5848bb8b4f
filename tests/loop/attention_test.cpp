// Asking a loop for attention: who must wake it, and that no wake-up is lost.
#include "loop/attention.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "support/seeded_random.hpp"

namespace event_cpp::test {
namespace {

using namespace std::chrono_literals;
using detail::Attention;

constexpr std::uint32_t kBits[] = {Attention::kPosted, Attention::kStop, Attention::kStopNow};
constexpr std::uint32_t kAnything = ~0U;

TEST(AttentionTest, IsNotAskedForAtFirst) {
  const Attention attention;

  EXPECT_FALSE(attention.test(kAnything));
}

TEST(AttentionTest, OfALoopThatIsAwakeNeedsNoWakeUp) {
  Attention attention;

  EXPECT_FALSE(attention.set(Attention::kPosted));
  EXPECT_TRUE(attention.test(Attention::kPosted));
  EXPECT_FALSE(attention.test(Attention::kStop | Attention::kStopNow));
}

TEST(AttentionTest, KeepsALoopFromFallingAsleepUntilItAnswers) {
  for (const std::uint32_t bit : kBits) {
    Attention attention;
    attention.set(bit);
    EXPECT_FALSE(attention.fall_asleep());

    attention.clear(bit);

    EXPECT_TRUE(attention.fall_asleep());
  }
}

TEST(AttentionTest, OfASleepingLoopIsForTheFirstWhoAsksToWake) {
  Attention attention;
  ASSERT_TRUE(attention.fall_asleep());

  EXPECT_TRUE(attention.set(Attention::kPosted));
  EXPECT_FALSE(attention.set(Attention::kPosted));
  EXPECT_FALSE(attention.set(Attention::kStop));
}

TEST(AttentionTest, OfALoopThatWokeByItselfNeedsNoWakeUp) {
  Attention attention;
  ASSERT_TRUE(attention.fall_asleep());
  attention.wake_up();

  EXPECT_FALSE(attention.set(Attention::kPosted));
}

TEST(AttentionTest, StaysAskedForWhenTheLoopWakesUp) {
  Attention attention;
  ASSERT_TRUE(attention.fall_asleep());
  attention.set(Attention::kPosted);

  attention.wake_up();

  EXPECT_TRUE(attention.test(Attention::kPosted));
  EXPECT_FALSE(attention.fall_asleep());
}

TEST(AttentionTest, IsNotWhatIsAskedForByFallingAsleep) {
  Attention attention;
  ASSERT_TRUE(attention.fall_asleep());

  for (const std::uint32_t bit : kBits) EXPECT_FALSE(attention.test(bit));
}

// One word of bits, written as three facts.
struct Model {
  std::uint32_t asked = 0;
  bool asleep = false;

  bool ask(std::uint32_t bit) {
    asked |= bit;
    return std::exchange(asleep, false);
  }
  bool fall_asleep() { return asleep = asked == 0; }
};

TEST(AttentionTest, DoesWhatItsModelDoes) {
  for (const unsigned seed : kSeeds) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    Attention attention;
    Model model;
    for (int step = 0; step < 10'000; ++step) {
      const std::uint32_t bit = kBits[random.below(3)];
      if (random.one_in(3)) {
        ASSERT_EQ(attention.set(bit), model.ask(bit));
      } else if (model.asleep) {
        attention.wake_up();
        model.asleep = false;
      } else if (random.one_in(2)) {
        attention.clear(bit);
        model.asked &= ~bit;
      } else {
        ASSERT_EQ(attention.fall_asleep(), model.fall_asleep());
      }
      for (const std::uint32_t each : kBits) {
        ASSERT_EQ(attention.test(each), (model.asked & each) != 0);
      }
    }
  }
}

// What the kernel is to a loop: it sleeps here until it is woken, once for each time.
class Bed {
 public:
  void wake() {
    const std::lock_guard lock(mutex_);
    ++wakes_;
    changed_.notify_one();
  }

  // False if nobody woke it for longer than any machine takes.
  bool sleep() {
    std::unique_lock lock(mutex_);
    const bool woken = changed_.wait_for(lock, 20s, [this] { return wakes_ > slept_; });
    ++slept_;
    return woken;
  }

  bool all_wakes_were_slept_for() {
    const std::lock_guard lock(mutex_);
    return wakes_ == slept_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t wakes_ = 0;  // guarded by mutex_
  std::size_t slept_ = 0;  // guarded by mutex_
};

TEST(AttentionTest, NeverLosesAWakeUpAndWakesASleeperOnce) {
  constexpr int kThreads = 4;
  constexpr int kAsks = 5'000;
  Attention attention;
  Bed bed;
  std::atomic<int> posted{0};
  std::vector<std::thread> askers;
  for (int i = 0; i < kThreads; ++i) {
    askers.emplace_back([&] {
      for (int n = 0; n < kAsks; ++n) {
        posted.fetch_add(1, std::memory_order_relaxed);
        if (attention.set(Attention::kPosted)) bed.wake();
        if (n % 64 == 0) std::this_thread::yield();
      }
    });
  }

  bool woken = true;
  for (int seen = 0; woken && seen < kThreads * kAsks;) {
    if (attention.test(Attention::kPosted)) {
      attention.clear(Attention::kPosted);
      // What was written before asking is seen after answering.
      seen = posted.load(std::memory_order_relaxed);
    } else if (attention.fall_asleep()) {
      woken = bed.sleep();
      attention.wake_up();
    }
  }
  for (std::thread& asker : askers) asker.join();

  EXPECT_TRUE(woken) << "a wake-up was lost";
  EXPECT_TRUE(bed.all_wakes_were_slept_for());
}

}  // namespace
}  // namespace event_cpp::test
