// Tickers keep their schedule.
#include <memory>
#include <random>
#include <vector>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class TickerTest : public EveryBackend {};

BACKEND_TEST(TickerTest, TicksEachPeriodFromTheStart) {
  Base base(options());
  const TimePoint start = time.now();
  std::vector<Duration> at;
  Ticker ticker(base, [&](Event& self, Events fired) {
    EXPECT_EQ(fired, Events::timeout);
    at.push_back(time.now() - start);
    if (at.size() == 3) self.detach();
  });

  ticker.attach(10ms);
  EXPECT_EQ(run(base), 3U);

  EXPECT_EQ(at, (std::vector<Duration>{10ms, 20ms, 30ms}));
}

BACKEND_TEST(TickerTest, TicksFirstAfterAnotherTimeIfAsked) {
  for (const Duration first : {Duration(0), Duration(3ms), Duration(1h)}) {
    Base base(options());
    const TimePoint start = time.now();
    std::vector<Duration> at;
    Ticker ticker(base, [&](Event& self, Events) {
      at.push_back(time.now() - start);
      if (at.size() == 3) self.detach();
    });

    ticker.attach(first, 10ms);
    run(base);

    EXPECT_EQ(at, (std::vector<Duration>{first, first + 10ms, first + 20ms}));
  }
}

BACKEND_TEST(TickerTest, KeepsTheScheduleHoweverLateACallbackEnds) {
  Base base(options());
  const TimePoint start = time.now();
  int ticks = 0;
  Ticker ticker(base, [&](Event& self, Events) {
    ++ticks;
    EXPECT_EQ(base.now(), start + ticks * 1ms);
    time.advance(300us);
    if (ticks == 1000) self.detach();
  });

  ticker.attach(1ms);
  run(base);

  EXPECT_EQ(time.now(), start + 1s + 300us);
}

BACKEND_TEST(TickerTest, KeepsTheScheduleOfATimeoutThatHasAnFdButNoCondition) {
  Base base(options());
  const TimePoint start = time.now();
  std::vector<Duration> at;
  Event other(
      base, 1000, Events::timeout, [&] { time.advance(4ms); }, Priority::high);
  Event event(base, 1000, Events::timeout | Events::persist, [&](Event& self, Events) {
    at.push_back(base.now() - start);
    if (at.size() == 1) other.attach(9ms);
    if (at.size() == 3) self.detach();
  });

  event.attach(10ms);
  run(base);

  EXPECT_EQ(at, (std::vector<Duration>{10ms, 23ms, 30ms}));
}

BACKEND_TEST(TickerTest, TicksOnTheMonotonicClockWithoutDrift) {
  Base base(real_time());
  int ticks = 0;
  const TimePoint start = steady_now();
  std::uint64_t periods = 0;
  Ticker* self = nullptr;
  Ticker ticker(base, [&] {
    periods += 1 + self->missed();
    EXPECT_GE(steady_now() - start, periods * 2ms) << "never early";
    if (++ticks == 50) self->detach();
  });
  self = &ticker;

  ticker.attach(2ms);
  run(base);

  EXPECT_GE(periods, 50U);
}

BACKEND_TEST(TickerTest, SkipsAndCountsThePeriodsThatPassedWhole) {
  Base base(options());
  const TimePoint start = time.now();
  std::vector<std::pair<Duration, std::uint64_t>> seen;
  Ticker* self = nullptr;
  Ticker ticker(base, [&] {
    seen.emplace_back(base.now() - start, self->missed());
    if (seen.size() == 1) time.advance(105ms);
    if (seen.size() == 4) self->detach();
  });
  self = &ticker;

  ticker.attach(10ms);
  run(base);

  EXPECT_EQ(seen, (std::vector<std::pair<Duration, std::uint64_t>>{
                      {10ms, 0}, {115ms, 9}, {120ms, 0}, {130ms, 0}}));
}

BACKEND_TEST(TickerTest, SkipsALongStallInOneStep) {
  Base base(options());
  const TimePoint start = time.now();
  Ticker ticker(base, recorder.note(1));

  ticker.attach(7ns);
  time.advance(24h * 365);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  const auto passed = static_cast<std::uint64_t>(Duration(24h * 365) / 7ns);
  EXPECT_EQ(ticker.missed(), passed - 1);
  EXPECT_EQ(ticker.deadline(), start + (passed + 1) * 7ns);
}

BACKEND_TEST(TickerTest, FiresAndMissesTogetherEveryPeriodThatHasPassed) {
  Base base(options());
  std::mt19937 random(11);
  std::uniform_int_distribution<int> step(1, 40'000'000);
  constexpr Duration kPeriod = 9'999'991ns;
  const TimePoint start = time.now();
  std::uint64_t periods = 0;
  Ticker* self = nullptr;
  Ticker ticker(base, [&] { periods += 1 + self->missed(); });
  self = &ticker;
  ticker.attach(kPeriod);

  for (int i = 0; i < 1000; ++i) {
    time.advance(Duration(step(random)));
    base.loop(RunMode::nonblock);
    ASSERT_EQ(periods, static_cast<std::uint64_t>((time.now() - start) / kPeriod));
    ASSERT_EQ(ticker.deadline(), start + (periods + 1) * kPeriod);
  }
}

BACKEND_TEST(TickerTest, FiresATickerWithoutAPeriodInEachIteration) {
  Base base(options());
  Ticker ticker(base, recorder.note(1));
  ticker.attach(0s);

  for (std::size_t i = 1; i <= 100; ++i) {
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    EXPECT_EQ(ticker.missed(), 0U);
  }
}

BACKEND_TEST(TickerTest, StopsATickerThatDetachesItself) {
  Base base(options());
  Ticker ticker(base, [&](Event& self, Events) {
    recorder.order.push_back(1);
    EXPECT_TRUE(self.attached());
    EXPECT_TRUE(self.detach());
  });

  ticker.attach(10ms);
  EXPECT_EQ(run(base), 1U);
  time.advance(1h);

  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  EXPECT_EQ(ticker.deadline(), std::nullopt);
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(TickerTest, StartsATickerAnewWhenItIsAttachedAgain) {
  Base base(options());
  Ticker ticker(base, recorder.note(1));
  ticker.attach(10ms);
  base.loop(RunMode::once);

  ticker.detach();
  time.advance(3ms);
  ticker.attach(20ms);

  EXPECT_EQ(ticker.deadline(), time.now() + 20ms);
  EXPECT_EQ(ticker.timeout(), 20ms);
  run(base, RunMode::once);
  EXPECT_EQ(ticker.deadline(), time.now() + 20ms);
}

BACKEND_TEST(TickerTest, StartsTheScheduleAnewWithRearm) {
  Base base(options());
  const TimePoint start = time.now();
  std::vector<Duration> at;
  Ticker ticker(base, [&](Event& self, Events) {
    at.push_back(time.now() - start);
    if (at.size() == 1) self.rearm(25ms);
    if (at.size() == 3) self.detach();
  });

  ticker.attach(10ms);
  run(base);

  EXPECT_EQ(at, (std::vector<Duration>{10ms, 35ms, 60ms}));
}

BACKEND_TEST(TickerTest, KeepsTheScheduleOfATickerThatIsActivatedByHand) {
  Base base(options());
  const TimePoint start = time.now();
  Ticker ticker(base, recorder.note_fired());
  ticker.attach(10ms);

  time.advance(4ms);
  ticker.activate(Events::timeout);
  base.loop(RunMode::nonblock);
  EXPECT_EQ(recorder.fired, Fired{Events::timeout});
  run(base, RunMode::once);

  EXPECT_EQ(time.now(), start + 10ms);
}

BACKEND_TEST(TickerTest, MissesNoPeriodForHavingBeenActivatedByHandBeforeItEnded) {
  for (const int periods : {1, 3}) {
    Base base(options());
    Ticker ticker(base, recorder.note_fired());
    ticker.attach(10ms);

    ticker.activate(Events::timeout);
    time.advance(periods * 10ms);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

    EXPECT_EQ(ticker.missed(), static_cast<std::uint64_t>(periods - 1));
  }
  EXPECT_EQ(recorder.fired, (Fired{Events::timeout, Events::timeout}));
}

BACKEND_TEST(TickerTest, HasMissedNothingBeforeAFireByHand) {
  Base base(options());
  Ticker ticker(base, recorder.note_fired());
  ticker.attach(10ms);
  time.advance(40ms);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(ticker.missed(), 3U);

  ticker.activate(Events::timeout | Events::read);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(ticker.missed(), 0U);
  EXPECT_EQ(recorder.fired, (Fired{Events::timeout, Events::timeout | Events::read}));
}

BACKEND_TEST(TickerTest, MissesThePeriodsThatEndWhileATickerWaitsForItsTurn) {
  Options sliced = options();
  sliced.slice = 1;
  Base base(sliced);
  Timer urgent(base, Never(), Priority::high);  // so that the base looks between two slices
  urgent.attach(1h);
  std::vector<std::uint64_t> missed;
  Ticker* self = nullptr;
  const auto late = [&] {
    self->activate(Events::timeout);
    time.advance(20ms);
  };
  Timer first(base, late, Priority::middle);
  Timer second(base, late, Priority::middle);
  Ticker ticker(
      base, [&] { missed.push_back(self->missed()); }, Priority::low);
  self = &ticker;
  ticker.attach(10ms);
  first.attach(10ms);
  second.attach(10ms);

  time.advance(10ms);
  base.loop(RunMode::nonblock);

  EXPECT_EQ(missed, (std::vector<std::uint64_t>{4}));
}

BACKEND_TEST(TickerTest, KeepsTheSchedulesOfManyTickersApart) {
  Base base(options());
  const TimePoint start = time.now();
  std::vector<int> ticks(5);
  std::vector<std::unique_ptr<Ticker>> tickers;
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    tickers.push_back(std::make_unique<Ticker>(base, [&ticks, i] { ++ticks[i]; }));
    tickers.back()->attach((i + 1) * 1ms);
  }

  base.stop_after(60ms + 500us);
  run(base);

  EXPECT_EQ(ticks, (std::vector<int>{60, 30, 20, 15, 12}));
  EXPECT_EQ(time.now(), start + 60ms + 500us);
}

}  // namespace
}  // namespace event_cpp::test
