// Clocks that the kernel does not tell of, as it refuses to set a timer: the loop looks by itself.
#include <cerrno>
#include <chrono>
#include <system_error>

#include "support/every_backend.hpp"
#include "support/failing_call.hpp"
#include "support/process.hpp"

#if EVENT_HAVE_EPOLL

namespace event_cpp::test {
namespace {

class UnsettableClockTest : public EveryBackend {
 protected:
  Options boottime() {
    Options chosen = real_time();
    chosen.clock = Clock::boottime;
    return chosen;
  }

  const FailingCall failing{Call::timerfd_settime, EPERM, 1, kAlways};
};

BACKEND_TEST(UnsettableClockTest, StillFiresAlarmsAndNeverEarly) {
  Base base(real_time());
  const auto when = std::chrono::system_clock::now() + 20ms;
  Alarm alarm(base, recorder.note(1));

  alarm.attach(when);
  run(base);

  EXPECT_GE(std::chrono::system_clock::now(), when);
  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_LT(base.stats().waits, 20U) << "it sleeps, and does not ask again and again";
}

BACKEND_TEST(UnsettableClockTest, StillFiresTimersOnBoottimeAndNeverEarly) {
  Base base(boottime());
  Timer timer(base, recorder.note(1));
  const TimePoint start = base.now();

  timer.attach(20ms);
  run(base);

  EXPECT_GE(base.now() - start, Duration(20ms));
  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_LT(base.stats().waits, 20U) << "it sleeps, and does not ask again and again";
}

BACKEND_TEST(UnsettableClockTest, FiresAlarmsAmongTimersOnBoottime) {
  Base base(boottime());
  Timer timer(base, recorder.note(2));
  Alarm alarm(base, [&] {
    recorder.order.push_back(1);
    timer.rearm(5ms);
  });

  alarm.attach(std::chrono::system_clock::now() + 10ms);
  timer.attach(1h);
  run(base);

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(UnsettableClockTest, IsLookedAtOnceASecondInsideAnotherLoop) {
  Base base(real_time());
  static_cast<void>(base.fd());
  Alarm alarm(base, [] { ADD_FAILURE(); });
  alarm.attach(std::chrono::system_clock::now() + 1h);
  base.loop(RunMode::nonblock);

  const std::optional<Duration> left = base.next_timeout();

  ASSERT_NE(left, std::nullopt);
  EXPECT_LE(*left, Duration(1s)) << "nobody tells of the clock being set";
}

}  // namespace
}  // namespace event_cpp::test

#endif
