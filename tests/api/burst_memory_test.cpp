// Memory that a burst took, and that is given back.
#include <gtest/gtest.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "support/every_backend.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class BurstMemoryTest : public EveryBackend {};

constexpr std::size_t kMegabyte = 1024 * 1024;

// Some iterations in which hardly anything happens.
void stay_quiet(Base& base) {
  for (int i = 0; i < 3'000; ++i) base.loop(RunMode::nonblock);
}

BACKEND_TEST(BurstMemoryTest, IsGivenBackAfterManyPosts) {
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

BACKEND_TEST(BurstMemoryTest, IsGivenBackWhenDispatchReturns) {
  if (allocated_bytes() == 0) GTEST_SKIP() << "this allocator does not tell what it has given out";
  Base base(options());
  const std::size_t before = allocated_bytes();
  for (int i = 0; i < 2'000'000; ++i) base.post([] {});
  base.dispatch();
  EXPECT_LT(allocated_bytes(), before + 2 * kMegabyte);
}

BACKEND_TEST(BurstMemoryTest, IsGivenBackAfterManyTimers) {
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

}  // namespace
}  // namespace event_cpp::test
