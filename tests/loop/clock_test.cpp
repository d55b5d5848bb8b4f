// The clock of a loop: which one it is, and the time of an iteration.
#include "loop/clock.hpp"

#include <gtest/gtest.h>

#include <chrono>

#include "event/manual_time.hpp"
#include "support/clocks.hpp"

namespace event_cpp::test {
namespace {

using namespace std::chrono_literals;
using detail::LoopClock;

Options on(TimeSource* source, Clock clock = Clock::monotonic) {
  Options options;
  options.time = source;
  options.clock = clock;
  return options;
}

TEST(LoopClockTest, IsTheMonotonicOneUnlessAnotherIsChosen) {
  const LoopClock clock{Options()};

  EXPECT_TRUE(clock.is_monotonic());
  EXPECT_FALSE(clock.is_boottime() || clock.is_source());
  const TimePoint before = steady_now();
  const TimePoint now = clock.now();
  EXPECT_LE(before, now);
  EXPECT_LE(now, steady_now());
}

TEST(LoopClockTest, IsThatOfBootTimeIfItIsAskedFor) {
  const LoopClock clock(on(nullptr, Clock::boottime));

  EXPECT_TRUE(clock.is_boottime());
  EXPECT_FALSE(clock.is_monotonic() || clock.is_source());
}

TEST(LoopClockTest, IsASourceBeforeAnyClockOfTheKernel) {
  ManualTime time;
  const LoopClock clock(on(&time, Clock::boottime));

  EXPECT_TRUE(clock.is_source());
  EXPECT_FALSE(clock.is_monotonic() || clock.is_boottime());
  time.advance(1h);
  EXPECT_EQ(clock.now(), time.now());
  EXPECT_EQ(clock.wall(), time.wall());
}

TEST(LoopClockTest, IsReadOnceAnIterationAndNotBeforeSomebodyAsks) {
  CountingClock counting;
  LoopClock clock(on(&counting));

  clock.begin_iteration();
  EXPECT_FALSE(clock.knows_iteration());
  EXPECT_EQ(counting.asked, 0U);
  const TimePoint first = clock.iteration();
  EXPECT_EQ(clock.iteration(), first);
  EXPECT_TRUE(clock.knows_iteration());
  EXPECT_EQ(counting.asked, 1U);
}

TEST(LoopClockTest, StandsStillDuringAnIteration) {
  ManualTime time;
  LoopClock clock(on(&time));
  const TimePoint start = time.now();

  clock.begin_iteration();
  EXPECT_EQ(clock.iteration(), start);
  time.advance(1s);
  EXPECT_EQ(clock.iteration(), start);
  EXPECT_EQ(clock.now(), start + 1s);
  clock.begin_iteration();
  EXPECT_EQ(clock.iteration(), start + 1s);
}

}  // namespace
}  // namespace event_cpp::test
