// Bases whose timeouts count the time in which the machine is suspended.
#include <sched.h>

#include <cerrno>
#include <ctime>
#include <fstream>

#include "support/every_backend.hpp"
#include "support/failing_call.hpp"
#include "support/forked.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class ClockTest : public EveryBackend {};

#ifdef CLOCK_BOOTTIME

TimePoint boottime_now() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return TimePoint(std::chrono::seconds(now.tv_sec) + Duration(now.tv_nsec));
}

class BoottimeTest : public EveryBackend {
 protected:
  Options on_boottime() {
    Options chosen = real_time();
    chosen.clock = Clock::boottime;
    return chosen;
  }

  void SetUp() override {
    try {
      const Base base(on_boottime());
    } catch (const std::system_error& error) {
      ASSERT_EQ(error.code(), Errc::unsupported);
      GTEST_SKIP() << "this build has no such clock";
    }
  }
};

BACKEND_TEST(BoottimeTest, FiresTimersInOrderAndNeverEarly) {
  Base base(on_boottime());
  const TimePoint start = boottime_now();
  Timer second(base, [&] {
    EXPECT_GE(boottime_now() - start, 20ms);
    recorder.order.push_back(2);
  });
  Timer first(base, [&] {
    EXPECT_GE(boottime_now() - start, 5ms);
    recorder.order.push_back(1);
  });

  const TimePoint now = base.now();
  second.attach_at(now + 20ms);
  first.attach_at(now + 5ms);
  EXPECT_EQ(run(base), 2U);

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(BoottimeTest, SleepsUntilADeadlineAndServesDescriptorsMeanwhile) {
  Base base(on_boottime());
  const Pipe pipe = make_pipe();
  Timer writing(base, [&] { write_bytes(pipe.writer); });
  Timer last(base, recorder.note(2));
  Event readable(base, pipe.reader.get(), Events::read, [&] {
    recorder.order.push_back(1);
    last.rearm(20ms);
  });

  readable.attach();
  writing.attach(1ms);
  last.attach(1h);
  run(base);

  EXPECT_EQ(recorder.order, (Order{1, 2}));
  EXPECT_LE(base.stats().waits, 12U);
}

BACKEND_TEST(BoottimeTest, TicksAndTakesAlarmsToo) {
  Base base(on_boottime());
  int ticks = 0;
  Ticker ticker(base, [&](Event& self, Events) {
    if (++ticks == 5) self.detach();
  });
  Alarm alarm(base, recorder.note(1));

  ticker.attach(2ms);
  alarm.attach(std::chrono::system_clock::now() + 5ms);
  EXPECT_EQ(run(base), 6U);

  EXPECT_EQ(ticks, 5);
}

#ifdef CLONE_NEWTIME

// Whether this process's children have a clock of their own that is an hour ahead: the suspension
// that a test cannot wait for.
bool set_boottime_ahead() {
  if (::unshare(CLONE_NEWTIME) != 0) return false;
  std::ofstream offsets("/proc/self/timens_offsets");
  offsets << "boottime 3600 0\n" << std::flush;
  return offsets.good();
}

BACKEND_TEST(BoottimeTest, CountsByTheClockThatGoesOnDuringASuspension) {
  EXPECT_TRUE(succeeds_in_child([&] {
    if (!set_boottime_ahead()) return;  // not allowed to
    EXPECT_TRUE(succeeds_in_child([&] {
      const TimePoint before = boottime_now();
      Base base(on_boottime());
      Timer timer(base, [] {});
      timer.attach(1h);
      const TimePoint now = base.now();
      EXPECT_TRUE(before <= now && now <= boottime_now());
      EXPECT_GE(*timer.deadline(), before + 1h);
      timer.rearm(1ms);
      EXPECT_EQ(run(base), 1U);
    }));
  }));
}

#endif

BACKEND_TEST(BoottimeTest, IsAnErrorWhereThereIsNoDescriptorForIt) {
  const std::set<int> before = open_descriptors();
  // The first is epoll's own, which it does without.
  const FailingCall full(Call::timerfd_create, EMFILE, 1, kAlways);
  EXPECT_EQ(thrown_by([&] { const Base base(on_boottime()); }), system_error(EMFILE));
  EXPECT_EQ(open_descriptors(), before);
}

#endif

BACKEND_TEST(ClockTest, CountsAJumpOfTheClockOnceHoweverManyPeriodsItCovers) {
  Base base(options());
  int ticks = 0;
  Ticker ticker(base, [&] {
    if (++ticks == 2) base.stop();
  });
  Timer timer(base, recorder.note(1));

  ticker.attach(1s);
  timer.attach(1h);
  base.post([&] { time.advance(8h); });  // asleep, and nothing told the base
  run(base);

  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_EQ(ticks, 2);
  EXPECT_EQ(ticker.missed(), 0U) << "of the second fire, on schedule again";
}

}  // namespace
}  // namespace event_cpp::test
