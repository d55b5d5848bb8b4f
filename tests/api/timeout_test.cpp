// When timeouts expire: never early, in order, and counted from the right moment.
#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class TimeoutTest : public EveryBackend {};

BACKEND_TEST(TimeoutTest, FiresATimerWhenItsTimeHasPassedAndNotBefore) {
  Base base(options());
  Timer timer(base, recorder.note_fired());
  timer.attach(1s);

  time.advance(1s - 1ns);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  time.advance(1ns);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.fired, Fired{Events::timeout});
  EXPECT_FALSE(timer.attached());
}

BACKEND_TEST(TimeoutTest, FiresTimersInTheOrderOfTheirDeadlines) {
  Base base(options());
  std::deque<Timer> timers;
  for (int i : {5, 2, 9, 1, 7, 3, 8, 0, 6, 4}) {
    timers.emplace_back(base, recorder.note(i)).attach(std::chrono::seconds(i));
  }

  time.advance(1h);
  EXPECT_EQ(run(base), 10U);

  EXPECT_EQ(recorder.order, (Order{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

BACKEND_TEST(TimeoutTest, FiresTimersWithEqualDeadlinesInTheOrderOfAttaching) {
  Base base(options());
  std::deque<Timer> timers;
  Order expected;
  for (int i = 0; i < 10'000; ++i) {
    timers.emplace_back(base, recorder.note(i)).attach(1s);
    expected.push_back(i);
  }

  EXPECT_EQ(run(base), 10'000U);

  EXPECT_EQ(recorder.order, expected);
}

BACKEND_TEST(TimeoutTest, KeepsTheOrderOfEqualDeadlinesWhenSomeAreDetached) {
  Base base(options());
  std::deque<Timer> timers;
  Order expected;
  for (int i = 0; i < 1000; ++i) timers.emplace_back(base, recorder.note(i)).attach(1s);
  for (int i = 0; i < 1000; ++i) {
    if (i % 3 == 0) {
      timers[static_cast<std::size_t>(i)].detach();
    } else {
      expected.push_back(i);
    }
  }

  run(base);

  EXPECT_EQ(recorder.order, expected);
}

BACKEND_TEST(TimeoutTest, FiresATimerAttachedByACallbackForNowInTheNextIteration) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  int ticks = 0, served = 0;
  Timer timer(base, [&](Event& self, Events) {
    ++ticks;
    self.attach();
  });
  Event ready(base, pipe.reader.get(), Events::read | Events::persist, [&] { ++served; });
  timer.attach();
  ready.attach();

  for (int i = 1; i <= 1000; ++i) {
    base.loop(RunMode::nonblock);
    ASSERT_EQ(ticks, i);
    ASSERT_EQ(served, i);
  }
}

BACKEND_TEST(TimeoutTest, CountsATimeoutFromTheCallAndNotFromTheTimeOfTheIteration) {
  Base base(options());
  Timer second(base, recorder.note(2));
  Timer first(base, [&] {
    time.advance(40ms);
    second.attach(50ms);
    EXPECT_EQ(second.deadline(), time.now() + 50ms);
  });
  const TimePoint start = time.now();

  first.attach();
  run(base);

  EXPECT_EQ(time.now(), start + 90ms);
}

BACKEND_TEST(TimeoutTest, CountsATimeoutFromTheCallAfterTheLoopHasReturned) {
  Base base(options());
  Timer timer(base, recorder.note(1));
  timer.attach();
  run(base);

  time.advance(100ms);
  timer.attach(50ms);

  EXPECT_EQ(timer.deadline(), time.now() + 50ms);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
}

BACKEND_TEST(TimeoutTest, WaitsByAClockThatIsReadAfterTheCallbacks) {
  FrozenTime frozen;
  Base base(on(frozen));
  Timer second(base, recorder.note(2));
  Timer first(base, [&] { frozen.advance(1h); });

  first.attach();
  second.attach(1h);

  EXPECT_EQ(run(base), 2U) << "an hour has passed in the callback: there is nothing to sleep for";
}

BACKEND_TEST(TimeoutTest, StartsThePersistentTimeoutAnewEachTimeTheEventFires) {
  Base base(options());
  const Pipe pipe = make_pipe();
  std::vector<std::pair<Duration, Events>> seen;
  const TimePoint start = time.now();
  Event event(base, pipe.reader.get(), Events::read | Events::persist, [&](Events fired) {
    drain(pipe.reader);
    seen.emplace_back(base.now() - start, fired);
    if (seen.size() == 4) base.stop();
  });
  Timer sender(base, [&] { write_bytes(pipe.writer); });

  event.attach(30ms);
  sender.attach(20ms);
  run(base);

  EXPECT_EQ(seen, (std::vector<std::pair<Duration, Events>>{{20ms, Events::read},
                                                            {50ms, Events::timeout},
                                                            {80ms, Events::timeout},
                                                            {110ms, Events::timeout}}));
}

BACKEND_TEST(TimeoutTest, CountsThePersistentTimeoutFromTheTimeOfTheIteration) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::persist, [&] { time.advance(5ms); });
  const TimePoint start = time.now();

  event.attach(30ms);
  time.advance(10ms);
  base.loop(RunMode::nonblock);

  EXPECT_EQ(event.deadline(), start + 40ms);
}

BACKEND_TEST(TimeoutTest, SleepsThroughAFarDeadlineWithoutWaking) {
  for (const Duration far : {Duration(24h * 25), Duration(24h * 30), Duration(24h * 50),
                             Duration(24h * 365), Duration(24h * 36500), Duration::max()}) {
    Base base(watched());
    Timer timer(base, Never());

    timer.attach(far);

    EXPECT_TRUE(stays_asleep(base, 20ms)) << far.count();
    EXPECT_TRUE(timer.attached());
    EXPECT_GT(timer.deadline().value_or(TimePoint::max()), steady_now());
  }
}

BACKEND_TEST(TimeoutTest, FiresATimerOfAYearAfterAYear) {
  Base base(options());
  Timer timer(base, recorder.note(1));
  const TimePoint start = time.now();

  timer.attach(24h * 365);
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(time.now(), start + 24h * 365);
}

BACKEND_TEST(TimeoutTest, TakesTheLongestTimeForNever) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Timer never(base, Never());
  Event event(base, pipe.reader.get(), Events::read, Never());
  Timer soon(base, recorder.note(1));
  time.advance(24h * 365 * 100);

  never.attach(Duration::max());
  event.attach(Duration::max());
  soon.attach(1s);
  EXPECT_EQ(run(base, RunMode::once), 1U);

  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_EQ(base.size(), 2U);
}

BACKEND_TEST(TimeoutTest, WaitsForADescriptorWhenAllTimersAreDetached) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  std::deque<Timer> timers;
  for (int i = 0; i < 100; ++i) timers.emplace_back(base, Never()).attach(1s);
  Event event(base, pipe.reader.get(), Events::read, recorder.note(1));
  event.attach();

  for (Timer& timer : timers) EXPECT_TRUE(timer.detach());
  EXPECT_EQ(run(base, RunMode::once), 1U);

  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_EQ(base.size(), 0U);
}

// rearm()

BACKEND_TEST(TimeoutTest, MovesADeadlineWithRearm) {
  for (const Duration to : {Duration(10ms), Duration(1s), Duration(1h)}) {
    Base base(options());
    Timer timer(base, recorder.note(1));
    timer.attach(1s);
    time.advance(5ms);
    const TimePoint expected = time.now() + to;

    timer.rearm(to);
    EXPECT_EQ(timer.deadline(), expected);
    EXPECT_EQ(timer.timeout(), to);
    EXPECT_EQ(run(base), 1U);

    EXPECT_EQ(time.now(), expected);
  }
}

BACKEND_TEST(TimeoutTest, NeverFiresEarlyHoweverOftenADeadlineIsPushedLater) {
  Base base(options());
  Timer idle(base, recorder.note(1));
  int refreshes = 0;
  TimePoint expected;
  Ticker activity(base, [&](Event& self, Events) {
    idle.rearm(60s);
    expected = time.now() + 60s;
    if (++refreshes == 1000) self.detach();
  });

  idle.attach(60s);
  activity.attach(1s);
  run(base);

  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_EQ(time.now(), expected);
}

BACKEND_TEST(TimeoutTest, OrdersTimersByTheDeadlinesThatRearmGaveThem) {
  Base base(options());
  std::deque<Timer> timers;
  for (int i = 0; i < 6; ++i) timers.emplace_back(base, recorder.note(i)).attach(10s);

  for (int i : {3, 0, 5, 2, 4, 1}) {
    timers[static_cast<std::size_t>(i)].rearm(std::chrono::seconds(i % 2 == 0 ? 5 + i : 20 - i));
  }
  run(base);

  EXPECT_EQ(recorder.order, (Order{0, 2, 4, 5, 3, 1}));
}

BACKEND_TEST(TimeoutTest, GivesAndTakesATimeoutWithRearm) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
  event.attach();

  event.rearm(1s);
  EXPECT_EQ(event.deadline(), time.now() + 1s);
  event.rearm(0s);
  EXPECT_EQ(event.deadline(), std::nullopt) << "zero is for ever, as it is for attach()";
  time.advance(1h);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  event.rearm(2s);
  run(base);

  EXPECT_EQ(recorder.fired, Fired{Events::timeout});
}

BACKEND_TEST(TimeoutTest, ExpiresAtOnceAfterRearmWithZeroIfTheMaskHasATimeout) {
  Base base(options());
  Timer timer(base, recorder.note(1));

  timer.attach(1h);
  timer.rearm(0s);

  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
}

BACKEND_TEST(TimeoutTest, DoesNotFireForTheOldDeadlineIfACallbackMovesItWhileItIsDue) {
  Base base(options());
  Timer target(base, recorder.note(2));
  Timer actor(base, [&] { target.rearm(1h); });
  actor.attach(1s);
  target.attach(2s);

  time.advance(10s);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(target.deadline(), time.now() + 1h);
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(recorder.order, Order{2});
}

BACKEND_TEST(TimeoutTest, RestartsAPersistentEventWithTheTimeoutThatRearmGaveIt) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::persist, recorder.note_fired());
  event.attach(1s);

  event.rearm(10s);
  run(base, RunMode::once);

  EXPECT_EQ(event.deadline(), time.now() + 10s);
}

// The monotonic clock. Bounds above are generous: only "never early" is exact.

BACKEND_TEST(TimeoutTest, NeverFiresEarlyOnTheMonotonicClock) {
  Base base(real_time());
  std::mt19937 random(7);
  std::uniform_int_distribution<int> nanoseconds(0, 50'000'000);
  int early = 0;
  std::deque<Timer> timers;
  for (int i = 0; i < 10'000; ++i) {
    const Duration timeout(nanoseconds(random));
    const TimePoint due = steady_now() + timeout;
    timers.emplace_back(base, [&early, due] { early += steady_now() < due ? 1 : 0; });
    timers.back().attach(timeout);
  }

  EXPECT_EQ(run(base), 10'000U);

  EXPECT_EQ(early, 0);
}

BACKEND_TEST(TimeoutTest, FiresAZeroTimerOnTheMonotonicClockAtOnce) {
  Base base(real_time());
  Timer timer(base, recorder.note(1));

  for (int i = 0; i < 100; ++i) {
    timer.attach(0s);
    EXPECT_EQ(run(base, RunMode::once), 1U);
  }
}

BACKEND_TEST(TimeoutTest, SleepsUntilTheNanosecondAndDoesNotSpinThroughTheRest) {
  Base base(real_time());
  const TimePoint start = steady_now();
  int left = 50;
  Timer timer(base, [&](Event& self, Events) {
    if (--left > 0) self.attach(1'900us);
  });

  timer.attach(1'900us);
  run(base);

  EXPECT_GE(steady_now() - start, 50 * 1'900us);
  EXPECT_LE(base.stats().waits, 150U) << "a wait in whole milliseconds spins for the rest";
}

BACKEND_TEST(TimeoutTest, WakesOnceOrTwiceForADeadlineBetweenTwoMilliseconds) {
  Base base(watched());
  Timer timer(base, recorder.note(1));

  timer.attach(10'900us);
  const TimePoint start = steady_now();
  clock.asked = 0;
  run(base);

  EXPECT_GE(steady_now() - start, 10ms);
  EXPECT_LT(clock.asked, 20U);
}

BACKEND_TEST(TimeoutTest, ReturnsFromALongWaitForAnEarlierTimerOfACallback) {
  Base base(real_time());
  const Pipe pipe = readable_pipe();
  Timer far(base, Never());
  Timer near(base, [&] { far.detach(); });
  Event event(base, pipe.reader.get(), Events::read, [&] { near.attach(1ms); });

  far.attach(1h);
  event.attach();

  EXPECT_EQ(run(base), 2U);
}

// now()

BACKEND_TEST(TimeoutTest, TellsTheTimeOfTheIterationInACallbackAndTheRealTimeOutside) {
  Base base(options());
  EXPECT_EQ(base.now(), time.now());
  time.advance(1s);
  EXPECT_EQ(base.now(), time.now());
  Timer late(base, [&] { EXPECT_EQ(base.now(), time.now() - 1s); });
  Timer timer(base, [&] {
    const TimePoint iteration = base.now();
    EXPECT_EQ(iteration, time.now());
    time.advance(1s);
    EXPECT_EQ(base.now(), iteration);
  });

  timer.attach(1ms);
  late.attach(1ms);
  EXPECT_EQ(run(base), 2U);

  EXPECT_EQ(base.now(), time.now());
}

BACKEND_TEST(TimeoutTest, TellsTheRealTimeAfterACallbackHasThrown) {
  Base base(options());
  Timer timer(base, [] { throw 1; });
  timer.attach(1ms);

  EXPECT_THROW(run(base), int);
  time.advance(1s);

  EXPECT_EQ(base.now(), time.now());
}

}  // namespace
}  // namespace event_cpp::test
