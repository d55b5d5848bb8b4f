// Memory that a burst took, and that is given back.
#include <gtest/gtest.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "base/grow_array.hpp"
#include "base/paged_array.hpp"
#include "loop/active_queue.hpp"
#include "support/every_backend.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class BurstMemoryTest : public EveryBackend {};

INSTANTIATE_TEST_SUITE_P(, BurstMemoryTest, testing::ValuesIn(usable_backends()),
                         [](const auto& chosen) { return to_string(chosen.param); });

constexpr std::size_t kMegabyte = 1024 * 1024;

// Some iterations in which hardly anything happens.
void stay_quiet(Base& base) {
  for (int i = 0; i < 3'000; ++i) base.loop(RunMode::nonblock);
}

TEST_P(BurstMemoryTest, IsGivenBackAfterManyPosts) {
  if (allocated_bytes() == 0) GTEST_SKIP() << "this allocator does not tell what it has given out";
  Base base(options());
  run(base);
  const std::size_t before = allocated_bytes();
  for (int i = 0; i < 2'000'000; ++i) base.post([] {});
  EXPECT_GT(allocated_bytes(), before + 20 * kMegabyte);
  base.loop(RunMode::nonblock);

  stay_quiet(base);

  EXPECT_LT(allocated_bytes(), before + 2 * kMegabyte);
}

TEST_P(BurstMemoryTest, IsGivenBackWhenDispatchReturns) {
  if (allocated_bytes() == 0) GTEST_SKIP() << "this allocator does not tell what it has given out";
  Base base(options());
  const std::size_t before = allocated_bytes();
  for (int i = 0; i < 2'000'000; ++i) base.post([] {});
  base.dispatch();
  EXPECT_LT(allocated_bytes(), before + 2 * kMegabyte);
}

TEST_P(BurstMemoryTest, IsGivenBackAfterManyTimers) {
  if (allocated_bytes() == 0) GTEST_SKIP() << "this allocator does not tell what it has given out";
  constexpr std::size_t kTimers = 300'000;
  Base base(options());
  Timer stays(base, [] {});
  stays.attach(10h);
  base.loop(RunMode::nonblock);
  const std::size_t before = allocated_bytes();
  {
    std::deque<Timer> timers;
    for (std::size_t i = 0; i < kTimers; ++i) timers.emplace_back(base, [] {}).attach(1h);
    EXPECT_GT(allocated_bytes(), before + kTimers * 16);
    for (std::size_t i = 0; i < kTimers; i += 2) timers[i].detach();
  }

  stay_quiet(base);

  EXPECT_LT(allocated_bytes(), before + kMegabyte);
  EXPECT_TRUE(stays.attached());
  run(base);
  EXPECT_FALSE(stays.attached());
}

TEST(GrowArrayShrinkTest, FreesWhatIsFarBeyondWhatIsUsed) {
  detail::GrowArray<int> array;
  for (int i = 0; i < 100'000; ++i) array.push_back(i);
  array.shrink(1000);
  EXPECT_GE(array.capacity(), 100'000U) << "it is in use";

  array.truncate(20'000);
  array.shrink(1000);
  EXPECT_LT(array.capacity(), 50'000U);
  EXPECT_GE(array.capacity(), 40'000U);
  EXPECT_EQ(array[19'999], 19'999);

  array.clear();
  array.shrink(1000);
  EXPECT_EQ(array.capacity(), 1000U);
  array.push_back(7);
  EXPECT_EQ(array[0], 7);
}

TEST(RecordPoolShrinkTest, FreesItsPagesOnceNoRecordIsHandedOut) {
  struct Record {
    std::uint32_t next_free;
  };
  detail::RecordPool<Record> pool;
  for (int i = 0; i < 1000; ++i) pool.take();
  for (std::uint32_t i = 1; i < 1000; ++i) pool.give_back(i);
  pool.shrink(0);
  EXPECT_EQ(pool.take(), 999U) << "one is in use: they stay";
  pool.give_back(999);
  pool.give_back(0);

  pool.shrink(1000);
  EXPECT_EQ(pool.take(), 0U);
  pool.give_back(0);
  pool.shrink(999);
  EXPECT_EQ(pool.take(), 0U) << "numbered anew";
  EXPECT_EQ(pool.take(), 1U);
}

}  // namespace
}  // namespace event_cpp::test
