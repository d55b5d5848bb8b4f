// rearm() and rearm_at(): a new time, whether the event is attached or not.
#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class RearmTest : public EveryBackend {};

BACKEND_TEST(RearmTest, AttachesWhatIsNotAttached) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Timer timer(base, recorder.note(1));
  Timer at(base, recorder.note(2));
  Event event(base, pipe.reader.get(), Events::read, recorder.note(3));
  const TimePoint start = time.now();

  timer.rearm(1s);
  at.rearm_at(start + 2s);
  EXPECT_EQ(event.try_rearm(3s), std::error_code());
  EXPECT_EQ(timer.deadline(), start + 1s);
  EXPECT_EQ(timer.timeout(), 1s);
  EXPECT_EQ(base.size(), 3U);
  run(base);

  EXPECT_EQ(recorder.order, (Order{1, 2, 3}));
  EXPECT_EQ(time.now(), start + 3s);
}

BACKEND_TEST(RearmTest, AttachesAOneShotInItsOwnCallback) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  const TimePoint start = time.now();
  int left = 3;
  Timer timer(base, [&](Timer& self) {
    if (--left > 0) self.rearm(1s);
  });
  Event event(base, pipe.reader.get(), Events::read, [&](Event& self, Events fired) {
    recorder.fired.push_back(fired);
    if (recorder.fired.size() == 1) self.rearm_at(base.now() + 1h);
  });

  timer.rearm(1s);
  event.rearm(1h);
  run(base);

  EXPECT_EQ(left, 0);
  EXPECT_EQ(time.now(), start + 3s);
  EXPECT_EQ(recorder.fired, (Fired{Events::read, Events::read}));
}

BACKEND_TEST(RearmTest, ReturnsTheErrorsOfAttach) {
  Base base(options());
  Event closed(base, closed_number(), Events::read, Never());
  Event missing(base, -1, Events::read, Never());
  Event nothing(base, -1, Events::none, Never());

  EXPECT_EQ(closed.try_rearm(1s), system_error(EBADF));
  EXPECT_EQ(closed.try_rearm_at(time.now()), system_error(EBADF));
  EXPECT_EQ(missing.try_rearm(1s), Errc::descriptor_missing);
  EXPECT_EQ(missing.try_rearm_at(time.now()), Errc::descriptor_missing);
  EXPECT_EQ(nothing.try_rearm(0s), Errc::nothing_to_wait_for);
  EXPECT_EQ(thrown_by([&] { missing.rearm(1s); }), Errc::descriptor_missing);
  EXPECT_EQ(thrown_by([&] { missing.rearm_at(time.now()); }), Errc::descriptor_missing);
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(RearmTest, GivesATickerAnotherPeriodFromNowOn) {
  Base base(options());
  std::vector<Duration> ticks;
  const TimePoint start = time.now();
  Ticker ticker(base, [&](Ticker& self) {
    ticks.push_back(base.now() - start);
    if (ticks.size() == 2) self.rearm(3s);
  });
  ticker.rearm(1s);
  base.stop_after(8s);
  run(base);

  EXPECT_EQ(ticks, (std::vector<Duration>{1s, 2s, 5s, 8s}));
  EXPECT_EQ(ticker.timeout(), 3s);
}

BACKEND_TEST(RearmTest, ToADeadlineKeepsTheTickersPeriod) {
  Base base(options());
  std::vector<Duration> ticks;
  const TimePoint start = time.now();
  Ticker ticker(base, [&] { ticks.push_back(base.now() - start); });

  ticker.attach_at(start + 500ms, 2s);
  EXPECT_EQ(ticker.try_attach_at(start, 1s), Errc::already_attached);
  base.stop_after(3s);
  run(base);
  EXPECT_EQ(ticks, (std::vector<Duration>{500ms, 2500ms}));
  ticker.rearm_at(start + 10s);
  base.stop_after(10s);
  run(base);
  ticker.detach();
  ticker.rearm_at(start + 20s);
  base.stop_after(8s);
  run(base);

  EXPECT_EQ(ticks, (std::vector<Duration>{500ms, 2500ms, 10s, 12s, 20s}));
  EXPECT_EQ(ticker.timeout(), 2s);
}

// Deadlines of events with a descriptor

class EventDeadlineTest : public EveryBackend {};

BACKEND_TEST(EventDeadlineTest, ReadsNoClock) {
  Options chosen = options();
  CountingClock counting;
  chosen.time = &counting;
  Base base(chosen);
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::persist, recorder.note_fired());
  const TimePoint start = base.now();
  const auto before = counting.asked;

  event.attach_at(start + 1h);
  event.rearm_at(start + 2h);
  event.rearm_at(start + 1h);

  EXPECT_EQ(counting.asked, before);
  EXPECT_EQ(event.deadline(), start + 1h);
}

BACKEND_TEST(EventDeadlineTest, IsNotMovedByFiringAndIsForOnce) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), kReadPersist, [&](Events fired) {
    recorder.fired.push_back(fired);
    if (any(fired & Events::read)) read_bytes(pipe.reader);
  });
  const TimePoint deadline = time.now() + 3s;

  event.attach_at(deadline);
  EXPECT_EQ(event.timeout(), Duration::zero());
  for (int i = 0; i < 2; ++i) {
    write_bytes(pipe.writer);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    EXPECT_EQ(event.deadline(), deadline);
    time.advance(1s);
  }
  time.advance(1s);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(event.deadline(), std::nullopt);
  EXPECT_TRUE(event.attached());
  time.advance(1h);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  write_bytes(pipe.writer);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.fired, (Fired{Events::read, Events::read, Events::timeout, Events::read}));
}

BACKEND_TEST(EventDeadlineTest, InThePastIsDueInTheNextIteration) {
  Base base(options());
  const Pipe pipe = make_pipe();
  for (const TimePoint past : {time.now(), TimePoint(), TimePoint::min()}) {
    Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
    Ticker ticker(base, recorder.note(1));
    event.attach_at(past);
    ticker.attach_at(past, 0s);
    EXPECT_EQ(base.loop(RunMode::nonblock), 2U);
    ticker.detach();
    ticker.attach_at(past, 1s);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    EXPECT_GT(ticker.deadline(), time.now());
  }
  EXPECT_EQ(recorder.fired, Fired(3, Events::timeout));
}

}  // namespace
}  // namespace event_cpp::test
