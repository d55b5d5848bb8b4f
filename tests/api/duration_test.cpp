// Durations and deadlines of every type: what does not fit saturates, and what is negative passed.
#include <limits>
#include <type_traits>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

using std::chrono::duration;
using std::chrono::hours;

constexpr Duration ns(AnyDuration time) { return time; }

static_assert(ns(Duration(-7)) == Duration(-7));
static_assert(ns(3s) == Duration(3'000'000'000));
static_assert(ns(hours::max()) == Duration::max() && ns(hours::min()) == Duration::min());
static_assert(ns(std::chrono::seconds::max()) == Duration::max());
static_assert(ns(duration<std::int8_t, std::ratio<86400>>(127)) == 24h * 127);
static_assert(ns(duration<std::uint64_t>(~std::uint64_t{0})) == Duration::max());
static_assert(ns(duration<std::uint64_t, std::nano>(~std::uint64_t{0})) == Duration::max());
static_assert(ns(duration<unsigned, std::milli>(5)) == 5ms);

// Away from zero: a wait is never shorter than asked for, and a sign is not lost.
using Picoseconds = duration<std::int64_t, std::pico>;
static_assert(ns(Picoseconds(1)) == 1ns && ns(Picoseconds(-1)) == -1ns);
static_assert(ns(Picoseconds(1000)) == 1ns && ns(Picoseconds(1001)) == 2ns);
static_assert(ns(Picoseconds::max()) > 106 * 24h && ns(Picoseconds::min()) < -(106 * 24h));
static_assert(ns(duration<int, std::ratio<1, 3>>(1)) == Duration(333'333'334));
static_assert(ns(duration<int, std::ratio<1, 3>>(3)) == 1s);

static_assert(ns(duration<double>(0.5)) == 500ms && ns(duration<double>(-0.5)) == -500ms);
static_assert(ns(duration<float, std::nano>(0.25F)) == 1ns);
static_assert(ns(duration<double>(1e300)) == Duration::max());
static_assert(ns(duration<double>(-1e300)) == Duration::min());
static_assert(ns(duration<double>(std::numeric_limits<double>::infinity())) == Duration::max());
static_assert(ns(duration<double>(std::numeric_limits<double>::quiet_NaN())) == Duration::zero());

constexpr WallTime wall(AnyTimePoint<std::chrono::system_clock> time) { return time; }
static_assert(wall(std::chrono::sys_days(std::chrono::year(9999) / 12 / 31)) == WallTime::max());
static_assert(wall(std::chrono::sys_seconds(5s)) == WallTime(5s));

// A number without a unit is no time.
template <class T>
concept IsATime =
    requires(Base& base, Event& event, Ticker& ticker, ManualTime& time, T t) {
      event.attach(t);
    } || requires(Event& event, T t) { event.rearm(t); } ||
    requires(Base& base, T t) { base.stop_after(t); } ||
    requires(Ticker& ticker, T t) { ticker.attach(t, t); } ||
    requires(ManualTime& time, T t) { time.advance(t); };
static_assert(IsATime<Duration> && IsATime<hours> && IsATime<duration<float>>);
static_assert(!IsATime<int> && !IsATime<long> && !IsATime<double> && !IsATime<TimePoint>);
static_assert(std::is_trivially_copyable_v<AnyDuration> && sizeof(AnyDuration) == sizeof(Duration));

class DurationTest : public EveryBackend {};

BACKEND_TEST(DurationTest, ThatIsTooLongIsNever) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Timer timer(base, Never());
  Timer rearmed(base, Never());
  Ticker ticker(base, Never());
  Ticker slow(base, recorder.note(1));
  Event event(base, pipe.reader.get(), Events::read | Events::persist, recorder.note_fired());

  timer.attach(hours::max());
  rearmed.attach(1s);
  rearmed.rearm(hours::max());
  ticker.attach(std::chrono::minutes::max());
  slow.attach(1ns, hours::max());
  event.attach(hours::max());
  base.after(hours::max(), Never());
  base.on_slow(hours::max(), [](const CallbackTime&) { ADD_FAILURE(); });
  base.stop_after(hours::max());
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  base.stop_after(24h * 365 * 100);
  event.detach();
  run(base);

  EXPECT_EQ(timer.deadline(), TimePoint::max());
  EXPECT_EQ(rearmed.deadline(), TimePoint::max());
  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

BACKEND_TEST(DurationTest, BelowZeroHasPassed) {
  Base base(options());
  const Pipe pipe = make_pipe();
  for (const AnyDuration passed :
       {AnyDuration(-1ns), AnyDuration(-1h), AnyDuration(hours::min())}) {
    recorder = {};
    Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
    Event rearmed(base, pipe.reader.get(), Events::read, recorder.note_fired());
    Timer timer(base, recorder.note_fired());
    const TimePoint start = time.now();

    event.attach(passed);
    rearmed.attach(1h);
    rearmed.rearm(passed);
    timer.attach(passed);
    base.after(passed, recorder.note_fired());
    base.once(pipe.reader.get(), Events::read, passed, recorder.note_fired());
    EXPECT_EQ(event.timeout(), Duration::zero());
    EXPECT_TRUE(recorder.fired.empty()) << "not inside attach()";
    EXPECT_EQ(base.loop(RunMode::nonblock), 5U);

    EXPECT_EQ(recorder.fired, Fired(5, Events::timeout));
    EXPECT_EQ(time.now(), start);
  }
}

BACKEND_TEST(DurationTest, BelowZeroOfATickerIsEachIteration) {
  Base base(options());
  Ticker ticker(base, recorder.note(1));
  Ticker late(base, recorder.note(2));

  ticker.attach(hours::min());
  late.attach(hours::min(), 1h);
  for (int i = 0; i < 3; ++i) EXPECT_GE(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.order, (Order{1, 2, 1, 1}));
  EXPECT_EQ(late.missed(), 0U);
}

BACKEND_TEST(DurationTest, BelowZeroOfStopAfterStopsAtOnce) {
  Base base(options());
  Ticker ticker(base, [] {});
  ticker.attach(0s);
  base.stop_after(hours::min());

  EXPECT_LE(run(base), 2U);
  EXPECT_TRUE(ticker.attached());
}

BACKEND_TEST(DurationTest, OfAPersistentEventBelowZeroExpiresEachIteration) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), kReadPersist, recorder.note_fired());
  event.attach(-1s);

  for (int i = 0; i < 3; ++i) EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(recorder.fired, Fired(3, Events::timeout));
}

BACKEND_TEST(DurationTest, OfAWaitInTheKernelMayBeTooLong) {
  Base base(real_time());
  Timer timer(base, Never());
  timer.attach(hours::max());
  base.stop_after(1ms);
  run(base);
  timer.rearm(hours::max() - hours(1));
  base.stop_after(1ms);
  run(base);
}

BACKEND_TEST(DurationTest, OfAnAlarmMayBeAnyTimeOfDay) {
  Base base(options());
  Alarm never(base, Never());
  Alarm passed(base, recorder.note(1));
  never.attach(std::chrono::sys_days(std::chrono::year(9999) / 12 / 31));
  passed.attach(std::chrono::sys_days(std::chrono::year(-9999) / 1 / 1));

  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_EQ(never.deadline(), WallTime::max());
}

TEST(TimeSourceTest, AdvancesByAnyDurationToTheEndOfTime) {
  ManualTime time;
  time.advance(hours::min());
  const TimePoint start = time.now();
  time.advance(duration<double>(0.5));
  EXPECT_EQ(time.now(), start + 500ms);
  time.advance(hours::max());
  EXPECT_EQ(time.now(), TimePoint::max());
}

}  // namespace
}  // namespace event_cpp::test
