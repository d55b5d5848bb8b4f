// Alarms: callbacks at a time of day, whatever is done to the clock.
#include <atomic>
#include <deque>
#include <limits>
#include <memory>
#include <stdexcept>
#include <thread>

#include "support/every_backend.hpp"
#include "support/failing_call.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class AlarmTest : public EveryBackend {};

BACKEND_TEST(AlarmTest, FiresAnAlarmAtItsTimeOfDayAndNotBefore) {
  Base base(options());
  const WallTime when = time.wall() + 1h;
  Alarm alarm(base, [&] { EXPECT_EQ(time.wall(), when); });
  Timer before(base, [&] { recorder.order.push_back(1); });

  alarm.attach(when);
  before.attach(1h - 1ns);
  EXPECT_EQ(alarm.deadline(), when);
  EXPECT_EQ(run(base), 2U);

  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_FALSE(alarm.attached());
  EXPECT_EQ(alarm.deadline(), std::nullopt);
}

BACKEND_TEST(AlarmTest, FiresAnAlarmAtOnceWhenTheClockIsSetForwardPastIt) {
  Base base(options());
  const TimePoint start = time.now();
  Alarm alarm(base, [&] { EXPECT_EQ(time.now() - start, 1min); });
  Timer jump(base, [&] { time.set_wall(time.wall() + 2h); });

  alarm.attach(time.wall() + 1h);
  jump.attach(1min);

  EXPECT_EQ(run(base), 2U);
}

BACKEND_TEST(AlarmTest, DelaysAnAlarmWhenTheClockIsSetBack) {
  Base base(options());
  const TimePoint start = time.now();
  Alarm alarm(base, [&] { EXPECT_EQ(time.now() - start, 3h); });
  Timer jump(base, [&] { time.set_wall(time.wall() - 2h); });

  alarm.attach(time.wall() + 1h);
  jump.attach(30min);

  EXPECT_EQ(run(base), 2U);
}

BACKEND_TEST(AlarmTest, MovesNoTimerWhenTheClockIsSet) {
  Base base(options());
  const TimePoint start = time.now();
  std::vector<Duration> fired;
  Timer timer(base, [&] { fired.push_back(time.now() - start); });
  Ticker ticker(base, [&](Event& self, Events) {
    fired.push_back(time.now() - start);
    time.set_wall(time.wall() + (fired.size() % 2 == 0 ? 24h : -48h));
    if (fired.size() == 5) self.detach();
  });
  Alarm alarm(base, [] {});

  timer.attach(25ms);
  ticker.attach(10ms);
  alarm.attach(time.wall() + 100h);
  base.stop_after(50ms);
  run(base);

  EXPECT_EQ(fired, (std::vector<Duration>{10ms, 20ms, 25ms, 30ms, 40ms}));
}

BACKEND_TEST(AlarmTest, FiresAlarmsInTheOrderOfTheirTimesAndThenOfAttaching) {
  Base base(options());
  const WallTime noon = time.wall() + 12h;
  std::deque<Alarm> alarms;
  for (int i = 0; i < 6; ++i) alarms.emplace_back(base, recorder.note(i));

  for (const int i : {4, 1, 3}) alarms[static_cast<std::size_t>(i)].attach(noon);
  alarms[0].attach(noon + 1ns);
  alarms[5].attach(noon - 1h);
  alarms[2].attach(noon - 1ns);
  run(base);

  EXPECT_EQ(recorder.order, (Order{5, 2, 4, 1, 3, 0}));
}

BACKEND_TEST(AlarmTest, FiresAnAlarmWhoseTimeHasPassedInTheNextIteration) {
  Base base(options());
  int fired = 0;
  Alarm alarm(base, [&](Alarm& self) {
    if (++fired < 3) self.attach(time.wall() - 1h);
  });
  alarm.attach(WallTime::min() + 1ns);

  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    EXPECT_EQ(fired, i);
  }

  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(AlarmTest, FiresAnAlarmOfTheRealClockNeverEarly) {
  Base base(real_time());
  const auto when = std::chrono::system_clock::now() + 20ms;
  std::chrono::system_clock::time_point fired;
  Alarm alarm(base, [&] { fired = std::chrono::system_clock::now(); });

  alarm.attach(when);
  EXPECT_EQ(run(base), 1U);

  EXPECT_GE(fired, when);
}

BACKEND_TEST(AlarmTest, FiresAnAlarmThatIsAttachedAfterOthersAndForAnEarlierTime) {
  Base base(real_time());
  const auto now = std::chrono::system_clock::now();
  Alarm late(base, [] { ADD_FAILURE(); });
  Alarm early(base, [&] { base.stop(); });
  Timer between(base, [&] { early.attach(now + 5ms); });

  late.attach(now + 24h);
  between.attach(1ms);

  EXPECT_EQ(run(base), 2U);
}

BACKEND_TEST(AlarmTest, SleepsWhileAnAlarmOfTheRealClockIsFarAway) {
  Base base(real_time());
  Alarm alarm(base, [] { ADD_FAILURE(); });
  alarm.attach(std::chrono::system_clock::now() + 24h);
  Alarm never(base, [] { ADD_FAILURE(); });
  never.attach(std::chrono::system_clock::time_point::max());

  base.stop_after(100ms);
  run(base);

  EXPECT_LE(base.stats().waits, 5U);
}

BACKEND_TEST(AlarmTest, TakesTheEndOfTimeForNever) {
  Base base(options());
  Alarm alarm(base, [] { ADD_FAILURE(); });
  alarm.attach(WallTime::max());
  time.set_wall(WallTime(-24h * 365 * 100));  // the difference is more than a duration holds
  Timer timer(base, recorder.note(1));

  timer.attach(24h * 365);
  EXPECT_EQ(base.loop(RunMode::once), 1U);

  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_TRUE(alarm.attached());
}

BACKEND_TEST(AlarmTest, CountsAnAlarmsTimeAlsoBefore1970) {
  Base base(options());
  time.set_wall(WallTime(-1h));
  const TimePoint start = time.now();
  Alarm alarm(base, [&] { EXPECT_EQ(time.now() - start, 30min); });

  alarm.attach(WallTime(-30min));

  EXPECT_EQ(run(base), 1U);
}

BACKEND_TEST(AlarmTest, LooksAtTheClockOfASourceThatCannotBeMovedByItself) {
  FrozenTime frozen;
  Base base(on(frozen));
  std::atomic<bool> sleeping = false;
  Hook hook(base, Hook::When::before_wait, [&] { sleeping = true; });
  Alarm alarm(base, recorder.note(1));
  alarm.attach(frozen.wall() + 24h);

  std::thread administrator([&] {
    while (!sleeping) std::this_thread::yield();
    frozen.set_wall(frozen.wall() + 25h);
  });
  run(base);
  administrator.join();

  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(AlarmTest, FiresAlarmsWhereTheKernelHasNoTimerForThem) {
  Base base(real_time());
  const auto when = std::chrono::system_clock::now() + 20ms;
  Alarm alarm(base, [&] { EXPECT_GE(std::chrono::system_clock::now(), when); });
  {
    const FailingCall missing(Call::timerfd_create, ENOSYS, 1, kAlways);
    alarm.attach(when);
  }

  EXPECT_EQ(run(base), 1U);
}

BACKEND_TEST(AlarmTest, ReportsThatNoDescriptorIsLeftForAnAlarmAndChangesNothing) {
  Base base(real_time());
  Alarm alarm(base, recorder.note(1));
  const auto when = std::chrono::system_clock::now();
  {
    const FailingCall full(Call::timerfd_create, EMFILE);
    const std::error_code error = alarm.try_attach(when);
    if (full.failures() == 0) GTEST_SKIP() << "it needs none here";
    EXPECT_EQ(error, system_error(EMFILE));
  }
  EXPECT_FALSE(alarm.attached());
  EXPECT_EQ(base.size(), 0U);

  alarm.attach(when);
  EXPECT_EQ(run(base), 1U);
}

BACKEND_TEST(AlarmTest, DoesNotFireAnAlarmThatWasDetachedOrDestroyed) {
  Base base(options());
  auto destroyed = std::make_unique<Alarm>(base, [] { ADD_FAILURE(); });
  Alarm detached(base, [] { ADD_FAILURE(); });
  Alarm killer(base, [&] {
    EXPECT_TRUE(detached.detach());
    EXPECT_FALSE(detached.detach());
    destroyed.reset();
  });
  const WallTime when = time.wall() + 1s;

  killer.attach(when);
  destroyed->attach(when);
  detached.attach(when);

  EXPECT_EQ(run(base), 1U);
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(AlarmTest, LetsAnAlarmDestroyItselfAndOutliveItsBase) {
  auto base = std::make_unique<Base>(options());
  std::unique_ptr<Alarm> self;
  self = std::make_unique<Alarm>(*base, [&] { self.reset(); });
  Alarm survivor(*base, [] { ADD_FAILURE(); });

  self->attach(time.wall());
  survivor.attach(time.wall() + 1h);
  EXPECT_EQ(base->loop(RunMode::once), 1U);
  EXPECT_EQ(self, nullptr);
  base.reset();

  EXPECT_FALSE(survivor.attached());
}

BACKEND_TEST(AlarmTest, RefusesToAttachAnAlarmTwice) {
  Base base(options());
  Alarm alarm(base, recorder.note(1));
  alarm.attach(time.wall() + 1s);

  EXPECT_EQ(alarm.try_attach(time.wall()), Errc::already_attached);
  EXPECT_EQ(thrown_by([&] { alarm.attach(time.wall()); }), Errc::already_attached);

  EXPECT_EQ(alarm.deadline(), time.wall() + 1s);
}

BACKEND_TEST(AlarmTest, GivesAnAlarmItsPriorityAndLetsItNotKeepTheBaseAlive) {
  Base base(options());
  Alarm low(base, recorder.note(3), Priority::low);
  Alarm high(base, recorder.note(1), Priority::high);
  Timer timer(base, recorder.note(2));
  Alarm later(base, recorder.note(4));

  low.attach(time.wall());
  timer.attach();
  high.attach(time.wall());
  later.attach(time.wall() + 1s);
  later.keep_alive(false);
  run(base);

  EXPECT_EQ(recorder.order, (Order{1, 2, 3}));
}

BACKEND_TEST(AlarmTest, KeepsTheOtherAlarmsWhenOneThrows) {
  Base base(options());
  Alarm throwing(base, [] { throw std::runtime_error("alarm"); });
  Alarm next(base, recorder.note(1));
  throwing.attach(time.wall());
  next.attach(time.wall());

  EXPECT_THROW(run(base), std::runtime_error);
  run(base);

  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(AlarmTest, LeavesNoDescriptorOfAnAlarmOpen) {
  const std::set<int> before = open_descriptors();
  {
    Base base(real_time());
    Alarm alarm(base, [] {});
    alarm.attach(std::chrono::system_clock::now());
    run(base);
  }
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace event_cpp::test
