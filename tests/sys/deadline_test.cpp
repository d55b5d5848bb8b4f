// Deadlines in the kernels' units: rounded up, and never more than they hold.
#include "sys/deadline.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <climits>
#include <ctime>
#include <limits>

#include "support/seeded_random.hpp"

namespace event_cpp::test {
namespace {

using namespace std::chrono_literals;
using detail::time_left;
using detail::to_poll_milliseconds;
using detail::to_timespec;

TEST(PollMillisecondsTest, RoundsUp) {
  EXPECT_EQ(to_poll_milliseconds(0ns), 0);
  EXPECT_EQ(to_poll_milliseconds(1ns), 1);
  EXPECT_EQ(to_poll_milliseconds(999'999ns), 1);
  EXPECT_EQ(to_poll_milliseconds(1ms), 1);
  EXPECT_EQ(to_poll_milliseconds(1ms + 1ns), 2);
  EXPECT_EQ(to_poll_milliseconds(10'900us), 11);
}

TEST(PollMillisecondsTest, IsNeverMoreThanAnIntHolds) {
  constexpr auto kMost = std::chrono::milliseconds(INT_MAX);

  EXPECT_EQ(to_poll_milliseconds(kMost - 1ms), INT_MAX - 1);
  EXPECT_EQ(to_poll_milliseconds(kMost - 1ns), INT_MAX);
  EXPECT_EQ(to_poll_milliseconds(kMost), INT_MAX);
  EXPECT_EQ(to_poll_milliseconds(kMost + 1ns), INT_MAX);
  EXPECT_EQ(to_poll_milliseconds(24h * 25), INT_MAX);
  EXPECT_EQ(to_poll_milliseconds(24h * 365), INT_MAX);
  EXPECT_EQ(to_poll_milliseconds(Duration::max() - 1ns), INT_MAX);
}

TEST(PollMillisecondsTest, IsNeverShorterAndLessThanOneMillisecondLonger) {
  for (const unsigned seed : kSeeds) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    for (int i = 0; i < 10'000; ++i) {
      const Duration exact(random.below(std::size_t{1} << random.below(50)));
      const Duration rounded = std::chrono::milliseconds(to_poll_milliseconds(exact));
      ASSERT_GE(rounded, exact);
      ASSERT_LT(rounded - exact, 1ms) << exact.count();
    }
  }
}

TEST(TimespecTest, IsExact) {
  for (const unsigned seed : kSeeds) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    for (int i = 0; i < 10'000; ++i) {
      const Duration exact(random.below(std::size_t{1} << random.below(63)));
      const timespec spec = to_timespec(exact);
      ASSERT_GE(spec.tv_nsec, 0);
      ASSERT_LT(spec.tv_nsec, 1'000'000'000);
      ASSERT_EQ(std::chrono::seconds(spec.tv_sec) + Duration(spec.tv_nsec), exact);
    }
  }
}

TEST(TimespecTest, HoldsTheLongestDurationOrTheMostThatATimeTHolds) {
  const timespec longest = to_timespec(Duration::max());

  if (sizeof(longest.tv_sec) > 4) {
    EXPECT_EQ(std::chrono::seconds(longest.tv_sec) + Duration(longest.tv_nsec), Duration::max());
  } else {
    EXPECT_EQ(longest.tv_sec, std::numeric_limits<decltype(longest.tv_sec)>::max());
  }
}

TEST(TimeLeftTest, IsZeroOnceADeadlineHasPassed) {
  const TimePoint now = std::chrono::steady_clock::now();

  EXPECT_EQ(time_left(now), 0ns);
  EXPECT_EQ(time_left(now - 1h), 0ns);
  EXPECT_EQ(time_left(TimePoint()), 0ns);
  EXPECT_EQ(time_left(TimePoint::min()), 0ns);
}

TEST(TimeLeftTest, IsWhatRemainsUntilADeadline) {
  const TimePoint before = std::chrono::steady_clock::now();
  const Duration left = time_left(before + 1h);
  const TimePoint after = std::chrono::steady_clock::now();

  EXPECT_LE(left, 1h);
  EXPECT_GE(left, 1h - (after - before));
}

TEST(TimeLeftTest, OfADeadlineThatNeverComesIsLongerThanAnyWait) {
  EXPECT_EQ(to_poll_milliseconds(time_left(TimePoint::max())), INT_MAX);
}

}  // namespace
}  // namespace event_cpp::test
