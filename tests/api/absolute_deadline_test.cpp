// Timers that are given the time at which they fire, and not how long they wait.
#include <cerrno>
#include <deque>
#include <new>

#include "support/every_backend.hpp"
#include "support/failing_call.hpp"
#include "support/failing_new.hpp"

namespace event_cpp::test {
namespace {

class AbsoluteDeadlineTest : public EveryBackend {};

BACKEND_TEST(AbsoluteDeadlineTest, FiresATimerAtTheTimeThatItWasGivenAndNotBefore) {
  Base base(options());
  Timer timer(base, recorder.note_fired());
  const TimePoint deadline = base.now() + 1s;
  time.advance(400ms);
  timer.attach_at(deadline);
  EXPECT_EQ(timer.deadline(), deadline);
  EXPECT_EQ(timer.timeout(), Duration::zero());

  time.advance(600ms - 1ns);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  time.advance(1ns);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.fired, Fired{Events::timeout});
  EXPECT_FALSE(timer.attached());
}

BACKEND_TEST(AbsoluteDeadlineTest, FiresATimerWhoseTimeHasPassedInTheNextIteration) {
  Base base(options());
  time.advance(1h);
  int left = 3;
  Timer timer(base, [&](Event&, Events) {
    if (--left > 0) timer.attach_at(base.now() - 1s);
  });
  for (const TimePoint past : {TimePoint::min(), TimePoint(), base.now() - 1ns, base.now()}) {
    left = 3;
    timer.attach_at(past);
    EXPECT_TRUE(timer.deadline().has_value());
    for (int i = 0; i < 3; ++i) EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  }
}

BACKEND_TEST(AbsoluteDeadlineTest, WaitsForEverForATimerAtTheEndOfTime) {
  Base base(options());
  Timer timer(base, Never());
  timer.attach_at(TimePoint::max());
  time.advance(24h * 365 * 100);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  EXPECT_TRUE(timer.detach());
}

BACKEND_TEST(AbsoluteDeadlineTest, MovesATimerToAnotherTimeEarlierAndLater) {
  Base base(options());
  const TimePoint start = base.now();
  Timer first(base, recorder.note(1));
  Timer second(base, recorder.note(2));
  first.attach_at(start + 10s);
  second.attach_at(start + 20s);

  first.rearm_at(start + 30s);
  EXPECT_EQ(first.deadline(), start + 30s);
  second.rearm_at(start + 5s);
  EXPECT_EQ(second.deadline(), start + 5s);
  EXPECT_EQ(run(base), 2U);

  EXPECT_EQ(recorder.order, (Order{2, 1}));
  EXPECT_EQ(time.now(), start + 30s);
}

BACKEND_TEST(AbsoluteDeadlineTest, CallsOffATimerThatIsDueWhenItIsMovedToALaterTime) {
  Base base(options());
  Timer second(base, recorder.note(2));
  Timer first(base, [&] {
    recorder.order.push_back(1);
    second.rearm_at(base.now() + 1s);
  });
  const TimePoint deadline = base.now() + 1s;
  first.attach_at(deadline);
  second.attach_at(deadline);

  time.advance(1s);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(second.deadline(), base.now() + 1s);
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(AbsoluteDeadlineTest, FiresTimersOfBothKindsInTheOrderOfTheirDeadlines) {
  Base base(options());
  const TimePoint start = base.now();
  std::deque<Timer> timers;
  for (int i = 0; i < 6; ++i) timers.emplace_back(base, recorder.note(i));
  timers[0].attach(3s);
  timers[1].attach_at(start + 2s);
  timers[2].attach_at(start + 3s);
  timers[3].attach(2s);
  timers[4].attach(1s);
  timers[5].attach_at(start + 1s);

  EXPECT_EQ(run(base), 6U);

  EXPECT_EQ(recorder.order, (Order{4, 5, 1, 3, 0, 2}));
}

BACKEND_TEST(AbsoluteDeadlineTest, RefusesAnAbsoluteTimeForATimerThatIsAttached) {
  Base base(options());
  Timer timer(base, Never());
  const TimePoint deadline = base.now() + 1s;
  timer.attach_at(deadline);
  EXPECT_EQ(timer.try_attach_at(deadline + 1s), Errc::already_attached);
  EXPECT_EQ(thrown_by([&] { timer.attach_at(deadline + 1s); }), Errc::already_attached);
  EXPECT_EQ(timer.deadline(), deadline);
  EXPECT_EQ(base.size(), 1U);
}

BACKEND_TEST(AbsoluteDeadlineTest, ChangesNothingIfThereIsNoMemoryForATimerAtATime) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  Base base(options());
  Timer timer(base, recorder.note(1));
  const TimePoint deadline = base.now() + 1s;
  {
    const FailingCall failing(Call::realloc, ENOMEM);
    EXPECT_EQ(timer.try_attach_at(deadline), std::errc::not_enough_memory);
  }
  EXPECT_FALSE(timer.attached());
  EXPECT_EQ(base.size(), 0U);

  timer.attach_at(deadline);
  EXPECT_EQ(run(base), 1U);
}

BACKEND_TEST(AbsoluteDeadlineTest, WaitsByTheMonotonicClockForATimerAtATime) {
  Base base(real_time());
  TimePoint fired;
  Timer timer(base, [&] { fired = base.now(); });
  const TimePoint deadline = base.now() + 5ms;
  timer.attach_at(deadline);
  EXPECT_EQ(run(base), 1U);
  EXPECT_GE(fired, deadline);
}

}  // namespace
}  // namespace event_cpp::test
