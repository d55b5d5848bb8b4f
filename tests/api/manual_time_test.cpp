// A base on manual time never sleeps for a deadline.
#include <thread>

#include "support/every_backend.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class ManualTimeTest : public EveryBackend {};

TEST(ManualTimeSourceTest, MovesOnlyForward) {
  ManualTime time;
  const TimePoint start = time.now();

  time.advance(5s);
  EXPECT_EQ(time.now(), start + 5s);
  time.advance(-3s);
  EXPECT_EQ(time.now(), start + 5s);
  EXPECT_TRUE(time.skip_to(start));
  EXPECT_EQ(time.now(), start + 5s);
  EXPECT_TRUE(time.skip_to(start + 1h));
  EXPECT_EQ(time.now(), start + 1h);
}

TEST(ManualTimeSourceTest, StopsAtTheEndOfTime) {
  ManualTime time;

  time.advance(Duration::max());
  EXPECT_EQ(time.now(), TimePoint::max());
  time.advance(1ns);
  EXPECT_EQ(time.now(), TimePoint::max());
}

TEST(ManualTimeSourceTest, StopsTheTimeOfDayAtTheEndOfTime) {
  ManualTime time;
  time.advance(Duration::max());
  EXPECT_EQ(time.wall(), WallTime::max());
  time.set_wall(WallTime::min());
  EXPECT_EQ(time.wall(), WallTime(Duration(-1))) << "the earliest one, with all the time added";
  time.set_wall(WallTime(1s));
  EXPECT_EQ(time.wall(), WallTime(1s));
}

BACKEND_TEST(ManualTimeTest, RunsAYearOfHourlyTickersWithoutSleeping) {
  Base base(options());
  const TimePoint start = time.now();
  int ticks = 0;
  Ticker ticker(base, [&] { ++ticks; });

  ticker.attach(1h);
  base.stop_after(24h * 365);
  run(base);

  EXPECT_GE(ticks, 24 * 365 - 1);
  EXPECT_EQ(time.now(), start + 24h * 365);
}

BACKEND_TEST(ManualTimeTest, MovesTheTimeExactlyToTheNextDeadline) {
  Base base(options());
  Timer first(base, recorder.note(1));
  Timer second(base, recorder.note(2));
  const TimePoint start = time.now();

  second.attach(7ns);
  first.attach(3ns);
  EXPECT_EQ(run(base, RunMode::once), 1U);
  EXPECT_EQ(time.now(), start + 3ns);
  EXPECT_EQ(run(base, RunMode::once), 1U);
  EXPECT_EQ(time.now(), start + 7ns);
}

BACKEND_TEST(ManualTimeTest, ServesWhatIsReadyBeforeItMovesTheTime) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event ready(base, pipe.reader.get(), Events::read, recorder.note_fired());
  Timer timer(base, Never());
  const TimePoint start = time.now();

  ready.attach(1h);
  timer.attach(1ns);
  EXPECT_EQ(run(base, RunMode::once), 1U);

  EXPECT_EQ(recorder.fired, Fired{Events::read});
  EXPECT_EQ(time.now(), start);
}

BACKEND_TEST(ManualTimeTest, ServesWhatWasPostedBeforeItMovesTheTime) {
  Base base(options());
  Timer timer(base, recorder.note(2));
  const TimePoint start = time.now();

  timer.attach(1ns);
  base.post([&] {
    recorder.order.push_back(1);
    EXPECT_EQ(time.now(), start);
  });
  run(base);

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(ManualTimeTest, DoesNotMoveTheTimeWithoutWaiting) {
  Base base(options());
  Timer timer(base, Never());
  const TimePoint start = time.now();

  timer.attach(1s);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  EXPECT_EQ(base.loop(RunMode::once | RunMode::nonblock), 0U);

  EXPECT_EQ(time.now(), start);
}

BACKEND_TEST(ManualTimeTest, WaitsForADescriptorOnManualTimeAsOnAnyOther) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
  event.attach();

  std::thread peer([&] { write_bytes(pipe.writer); });
  EXPECT_EQ(run(base), 1U);
  peer.join();

  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

BACKEND_TEST(ManualTimeTest, SharesOneManualTimeBetweenBases) {
  Base one(options());
  Base other(options());
  Timer first(one, recorder.note(1));
  Timer second(other, recorder.note(2));

  first.attach(2s);
  second.attach(1s);
  run(one);
  EXPECT_EQ(other.loop(RunMode::nonblock), 1U) << "its deadline has passed";

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(ManualTimeTest, ReadsTheTimeFromTheSourceItWasGiven) {
  struct Future : TimeSource {
    TimePoint now() const noexcept override { return steady_now() + 24h * 365 * 10; }
  };
  Future future;
  Base base(on(future));
  Timer timer(base, recorder.note(1));
  const TimePoint start = steady_now();

  EXPECT_GE(base.now(), start + 24h * 365 * 10);
  timer.attach(5ms);
  EXPECT_EQ(run(base), 1U);

  EXPECT_GE(steady_now() - start, 5ms);
}

// Tests with real sockets: their answers may take longer than a timeout.
class AdvanceOnlyTest : public EveryBackend {
 protected:
  Options still() { return on(frozen); }

  ManualTime frozen{ManualTime::Mode::advance_only};
};

BACKEND_TEST(AdvanceOnlyTest, WaitsForDescriptorsWhileTheTimeStands) {
  Base base(still());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
  const TimePoint start = frozen.now();
  event.attach(1ns);

  std::thread peer([&, loop = this_thread()] {
    await_sleep_of(loop);
    write_bytes(pipe.writer);
  });
  EXPECT_EQ(run(base), 1U);
  peer.join();

  EXPECT_EQ(recorder.fired, Fired{Events::read});
  EXPECT_EQ(frozen.now(), start);
}

BACKEND_TEST(AdvanceOnlyTest, NoticesWhatACallbackAdvances) {
  Base base(still());
  const Pipe pipe = readable_pipe();
  Timer timer(base, recorder.note(2));
  Alarm alarm(base, recorder.note(3));
  Event event(base, pipe.reader.get(), Events::read, [&] {
    recorder.order.push_back(1);
    frozen.advance(1h);
  });
  timer.attach(1h);
  alarm.attach(frozen.wall() + 1h);
  event.attach();
  EXPECT_EQ(run(base), 3U);

  EXPECT_EQ(recorder.order, (Order{1, 2, 3}));
}

BACKEND_TEST(AdvanceOnlyTest, IsAdvancedByAPostOfAnotherThread) {
  Base base(still());
  Timer timer(base, recorder.note(1));
  timer.attach(1h);

  std::thread other([&] { base.post([&] { frozen.advance(1h); }); });
  EXPECT_EQ(run(base), 2U);
  other.join();

  EXPECT_EQ(recorder.order, Order{1});
}

// A deadline there means never.
BACKEND_TEST(AdvanceOnlyTest, FiresNothingThatIsDueAtTheEndOfTime) {
  Base base(still());
  int ticks = 0;
  Ticker ticker(base, [&] {
    ++ticks;
    if (ticks > 2) ticker.detach();
  });
  ticker.attach(1s);
  Timer never(base, recorder.note(1));
  never.attach(Duration::max());
  Alarm never_alarm(base, recorder.note(2));
  never_alarm.attach(WallTime::max());
  Timer at_once(base, recorder.note(3));
  frozen.advance(Duration::max());
  at_once.attach(0s);
  base.loop(RunMode::nonblock);
  base.loop(RunMode::nonblock);
  EXPECT_EQ(ticks, 1);
  EXPECT_EQ(recorder.order, Order{3});
}

BACKEND_TEST(AdvanceOnlyTest, SleepsUntilItIsWoken) {
  Base base(still());
  Timer timer(base, Never());
  Alarm alarm(base, Never());
  timer.attach(1ms);
  alarm.attach(frozen.wall() + 1ms);

  std::thread other([&] {
    std::this_thread::sleep_for(20ms);
    base.stop();
  });
  EXPECT_EQ(run(base), 0U);
  other.join();

  EXPECT_LE(base.stats().iterations, 5U);
}

BACKEND_TEST(AdvanceOnlyTest, DoesNotSleepInNonblock) {
  Base base(still());
  Timer timer(base, Never());
  timer.attach(24h);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
}

BACKEND_TEST(ManualTimeTest, SaysExactlyHowLongUntilADeadlineThatWasMovedLater) {
  Base base(options());
  Timer first(base, Never());
  Timer second(base, Never());
  first.attach(1s);
  second.attach(10s);
  first.rearm(5s);

  EXPECT_EQ(base.next_timeout(), 5s);
  second.rearm(3s);
  EXPECT_EQ(base.next_timeout(), 3s);
  first.detach();
  second.rearm(1h);
  EXPECT_EQ(base.next_timeout(), 1h);
}

// A source that says what the base asks of it.
struct WatchedTime : ManualTime {
  bool skip_to(TimePoint time) noexcept override {
    ++asked_to_wait;
    return ManualTime::skip_to(time);
  }
  Duration sleep_until(TimePoint time) const noexcept override {
    ++asked_to_wait;
    return ManualTime::sleep_until(time);
  }
  mutable int asked_to_wait = 0;
};

BACKEND_TEST(ManualTimeTest, NeverWaitsInNonblockAndSaysExactlyWhenToCallItAgain) {
  WatchedTime watched_time;
  Base base(on(watched_time));
  Ticker ticker(base, recorder.note(1));
  Timer timer(base, recorder.note(2));
  Alarm alarm(base, recorder.note(3));
  Hook idle(base, Hook::When::before_wait, [] {});
  const TimePoint start = watched_time.now();
  ticker.attach(3ns);
  timer.attach(7ns);
  alarm.attach(watched_time.wall() + 8ns);

  std::vector<Duration> fired_at;
  while (watched_time.now() < start + 9ns) {
    const std::optional<Duration> left = base.next_timeout();
    ASSERT_TRUE(left.has_value());
    watched_time.advance(*left - 1ns);
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U) << "one nanosecond too early";
    watched_time.advance(1ns);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    fired_at.push_back(watched_time.now() - start);
  }

  EXPECT_EQ(fired_at, (std::vector<Duration>{3ns, 6ns, 7ns, 8ns, 9ns}));
  EXPECT_EQ(recorder.order, (Order{1, 1, 2, 3, 1}));
  EXPECT_EQ(watched_time.asked_to_wait, 0);
}

}  // namespace
}  // namespace event_cpp::test
