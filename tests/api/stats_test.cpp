// What a base tells of itself: counters, slow callbacks.
#include <array>
#include <atomic>
#include <csignal>
#include <deque>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/every_backend.hpp"
#include "support/failing_call.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class StatsTest : public EveryBackend {};

BACKEND_TEST(StatsTest, HasCountedNothingInTheBeginning) {
  const Base base(options());
  const Stats stats = base.stats();
  EXPECT_EQ(stats.iterations + stats.waits + stats.timers + stats.signals + stats.posts, 0U);
  EXPECT_EQ(stats.callbacks, (std::array<std::uint64_t, 3>{}));
  EXPECT_EQ(stats.attached + stats.active + stats.wakeups, 0U);
  EXPECT_EQ(stats.longest.took, Duration::zero());
}

BACKEND_TEST(StatsTest, CountsCallbacksByPriority) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  std::deque<Event> events;
  for (const auto& [count, priority] :
       {std::pair(1, Priority::high), std::pair(2, Priority::middle),
        std::pair(3, Priority::low)}) {
    for (int i = 0; i < count; ++i) {
      events.emplace_back(
          base, pipe.reader.get(), Events::read, [] {}, priority);
      events.back().attach();
    }
  }
  base.post([] {}, Priority::low);
  EXPECT_EQ(base.stats().attached, 6U);

  EXPECT_EQ(run(base), 7U);

  EXPECT_EQ(base.stats().callbacks, (std::array<std::uint64_t, 3>{1, 2, 4}));
  EXPECT_EQ(base.stats().posts, 1U);
  EXPECT_EQ(base.stats().attached, 0U);
}

BACKEND_TEST(StatsTest, CountsTimeoutsSignalsAndWhatIsActive) {
  Base base(options());
  int ticks = 0;
  Ticker ticker(base, [&] {
    if (++ticks == 3) base.stop_now();
  });
  Signal signal(base, SIGUSR1, [] {});
  Timer last(
      base, [] {}, Priority::low);
  ticker.attach(1s);
  signal.attach();
  last.attach(3s);
  base.post([] { ::raise(SIGUSR1); });
  run(base);

  const Stats stats = base.stats();
  EXPECT_EQ(stats.timers, 4U);
  EXPECT_EQ(stats.signals, 1U);
  EXPECT_EQ(stats.active, 1U) << "the last one was left";
  EXPECT_EQ(stats.attached, 3U);
}

BACKEND_TEST(StatsTest, CountsIterationsAndWaits) {
  Base base(real_time());
  for (int i = 0; i < 10; ++i) base.loop(RunMode::nonblock | RunMode::keep_alive);

  EXPECT_EQ(base.stats().iterations, 10U);
  EXPECT_EQ(base.stats().waits, 10U);
}

BACKEND_TEST(StatsTest, CountsTheCallsThatTellTheKernelWhatToWatch) {
  Base base(options());
  if (base.backend() != Backend::epoll) GTEST_SKIP() << "only epoll makes such calls";
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, [] {});
  const auto changes = [&](auto&& part) {
    const std::uint64_t before = base.stats().registrations;
    const CountingCall calls(Call::epoll_ctl);
    part();
    EXPECT_EQ(base.stats().registrations - before, calls.count());
    return base.stats().registrations - before;
  };

  EXPECT_EQ(changes([&] { event.attach(); }), 1U);
  EXPECT_EQ(changes([&] { run(base); }), 0U);
  const std::uint64_t before = base.stats().registrations;
  event.attach();
  EXPECT_EQ(base.stats().registrations, before) << "the registration was kept, though debug builds "
                                                   "ask the kernel whether it is the same file";
  event.modify(Events::write);
  EXPECT_EQ(changes([&] { base.loop(RunMode::nonblock); }), 1U);
  event.detach();
  EXPECT_EQ(changes([&] { event.assign(-1, Events::none); }), 0U) << "until it is reported";
}

BACKEND_TEST(StatsTest, CountsTheWakeUpsOfOtherThreads) {
  Base base(real_time());
  constexpr std::uint64_t kRounds = 5;
  std::uint64_t ran = 0;
  std::atomic<bool> asleep = false;
  Hook hook(base, Hook::When::before_wait, [&] { asleep = true; });
  std::thread waker([&, loop = this_thread()] {
    for (std::uint64_t i = 0; i < kRounds; ++i) {
      while (!asleep) std::this_thread::yield();
      await_sleep_of(loop);
      asleep = false;
      base.post([&] {
        if (++ran == kRounds) base.stop();
      });
    }
  });
  run(base, RunMode::keep_alive);
  waker.join();

  EXPECT_LE(base.stats().wakeups, kRounds);
  EXPECT_GE(base.stats().wakeups, 1U);
  EXPECT_EQ(base.stats().posts, kRounds);
}

BACKEND_TEST(StatsTest, CountsNoCallbackForItsOwnBusiness) {
  Base base(real_time());
  Alarm alarm(base, [] {});
  Signal signal(base, SIGUSR1, [&] { base.stop(); });
  signal.attach();
  alarm.attach(std::chrono::system_clock::now() + 5ms);
  std::thread poster;
  Timer timer(base, [&] { poster = std::thread([&] { base.post([] { ::raise(SIGUSR1); }); }); });
  timer.attach(20ms);

  EXPECT_EQ(run(base), 4U);
  poster.join();

  const Stats stats = base.stats();
  EXPECT_EQ(stats.callbacks, (std::array<std::uint64_t, 3>{0, 4, 0}));
}

BACKEND_TEST(StatsTest, SortsTimeoutsByHowLateTheyWere) {
  Base base(options());
  std::deque<Timer> timers;
  for (const Duration delay : {Duration(0), Duration(1), Duration(1000)}) {
    timers.emplace_back(base, [] {});
    timers.back().attach(delay);
  }
  time.advance(5000ns);  // 5000, 4999 and 4000 ns late
  run(base);
  timers.clear();
  timers.emplace_back(base, [] {});
  timers.back().attach(1s);
  run(base);  // on time
  timers.back().attach(1ns);
  time.advance(24h);
  run(base);

  const Stats stats = base.stats();
  EXPECT_EQ(stats.lag[0], 1U);
  EXPECT_EQ(stats.lag[1], 1U) << "below 4096 ns";
  EXPECT_EQ(stats.lag[2], 2U);
  EXPECT_EQ(stats.lag[Stats::kLags - 1], 1U);
  EXPECT_EQ(stats.timers, 5U);
}

TEST(LagTest, IsCountedBelowTheLimitOfItsPlace) {
  for (std::size_t i = 0; i + 1 < Stats::kLags; ++i) {
    const Duration limit = Stats::lag_limit(i);
    EXPECT_EQ(Stats::lag_place(limit - 1ns), i);
    EXPECT_EQ(Stats::lag_place(limit), i + 1);
  }
  EXPECT_EQ(Stats::lag_limit(Stats::kLags - 1), Duration::max());
  EXPECT_EQ(Stats::lag_place(Duration::max()), Stats::kLags - 1);
  EXPECT_EQ(Stats::lag_place(Duration::zero()), 0U);
}

BACKEND_TEST(StatsTest, TellsTheLongestCallbackAndWhenItRan) {
  Options timed = options();
  timed.timing = true;
  Base base(timed);
  const Pipe pipe = readable_pipe();
  Event slow(
      base, pipe.reader.get(), Events::read | Events::closed, [&] { time.advance(30ms); },
      Priority::high);
  Timer slower(
      base, [&] { time.advance(40ms); }, Priority::low);
  slow.attach();
  slower.attach(1s);
  const TimePoint start = time.now();
  EXPECT_EQ(base.stats().longest.took, Duration::zero());

  base.loop(RunMode::nonblock);
  CallbackTime longest = base.stats().longest;
  EXPECT_EQ(longest.took, 30ms);
  EXPECT_EQ(longest.began, start);
  EXPECT_EQ(longest.event, &slow);
  EXPECT_EQ(longest.fd, pipe.reader.get());
  EXPECT_EQ(longest.events, Events::read | Events::closed);
  EXPECT_EQ(longest.fired, Events::read);
  EXPECT_EQ(longest.priority, Priority::high);

  run(base);
  longest = base.stats().longest;
  EXPECT_EQ(longest.took, 40ms);
  EXPECT_EQ(longest.event, &slower);
  EXPECT_EQ(longest.fd, -1);
  EXPECT_EQ(longest.began, start + 1s);
}

BACKEND_TEST(StatsTest, MeasuresNothingUnlessAsked) {
  Base base(options());
  base.post([&] { time.advance(1s); });
  run(base);
  EXPECT_EQ(base.stats().longest.took, Duration::zero());
}

BACKEND_TEST(StatsTest, MeasuresNothingOfItsOwn) {
  Options timed = real_time();
  timed.timing = true;
  Base base(timed);
  std::atomic<bool> asleep = false;
  const Hook hook(base, Hook::When::before_wait, [&] { asleep = true; });
  std::thread waker([&] {
    while (!asleep) std::this_thread::yield();
    base.stop();
  });
  run(base, RunMode::keep_alive);
  waker.join();

  EXPECT_EQ(base.stats().longest.event, nullptr);
  EXPECT_EQ(base.stats().longest.took, Duration::zero());
}

BACKEND_TEST(StatsTest, ReportsEachCallbackThatTookLongerThanTheBudget) {
  Base base(options());
  std::vector<CallbackTime> reports;
  base.on_slow(10ms, [&](const CallbackTime& slow) {
    reports.push_back(slow);
    time.advance(1h);  // a report is no part of the next callback
  });
  const Pipe pipe = readable_pipe();
  std::deque<Event> events;
  for (const Duration takes : {5ms, 11ms, 10ms, 12ms}) {
    events.emplace_back(base, pipe.reader.get(), Events::read, [&, takes] { time.advance(takes); });
    events.back().attach();
  }
  base.post([&] { time.advance(20ms); }, Priority::low);

  run(base);

  ASSERT_EQ(reports.size(), 3U);
  EXPECT_EQ(reports[0].took, 11ms);
  EXPECT_EQ(reports[0].event, &events[1]);
  EXPECT_EQ(reports[0].fired, Events::read);
  EXPECT_EQ(reports[1].took, 12ms);
  EXPECT_EQ(reports[1].event, &events[3]);
  EXPECT_EQ(reports[2].took, 20ms);
  EXPECT_EQ(reports[2].event, nullptr) << "it was posted";
  EXPECT_EQ(reports[2].priority, Priority::low);
  EXPECT_EQ(base.stats().longest.took, 20ms);
}

BACKEND_TEST(StatsTest, DoesNotCountWhatRunsBetweenSlicesIntoTheCallbacksAroundIt) {
  Options sliced = options();
  sliced.slice = 1;
  Base base(sliced);
  std::vector<CallbackTime> reports;
  base.on_slow(1ms, [&](const CallbackTime& slow) { reports.push_back(slow); });
  Event urgent(
      base, -1, Events::timeout | Events::persist, [&] { time.advance(1h); }, Priority::high);
  urgent.attach();
  for (int i = 0; i < 3; ++i) base.post([] {}, Priority::low);

  base.loop(RunMode::nonblock);

  ASSERT_GE(reports.size(), 2U);
  for (const CallbackTime& report : reports) {
    EXPECT_EQ(report.event, &urgent);
    EXPECT_EQ(report.took, 1h);
  }
}

BACKEND_TEST(StatsTest, IdentifiesASlowEventThatHasDestroyedItself) {
  Base base(options());
  std::vector<CallbackTime> reports;
  base.on_slow(1ms, [&](const CallbackTime& slow) { reports.push_back(slow); });
  std::unique_ptr<Timer> timer;
  const void* address = nullptr;
  timer = std::make_unique<Timer>(base, [&] {
    time.advance(2ms);
    timer.reset();
  });
  address = timer.get();
  timer->attach();

  run(base);

  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].event, address);
  EXPECT_EQ(reports[0].events, Events::timeout);
}

BACKEND_TEST(StatsTest, ReportsSignalsByTheirNumber) {
  Base base(options());
  std::vector<CallbackTime> reports;
  base.on_slow(1ms, [&](const CallbackTime& slow) { reports.push_back(slow); });
  Signal signal(base, SIGUSR2, [&] { time.advance(2ms); });
  signal.attach();
  ::raise(SIGUSR2);

  base.loop(RunMode::nonblock);

  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].fd, SIGUSR2);
  EXPECT_EQ(reports[0].fired, Events::signal);
}

BACKEND_TEST(StatsTest, LetsAReportReplaceItselfOrThrow) {
  Base base(options());
  int second = 0;
  base.on_slow(0ns, [&](const CallbackTime&) {
    base.on_slow(0ns, [&](const CallbackTime&) {
      ++second;
      throw std::runtime_error("slow");
    });
  });
  for (int i = 0; i < 3; ++i) base.post([&] { time.advance(1ms); });

  EXPECT_THROW(run(base), std::runtime_error);
  EXPECT_THROW(run(base), std::runtime_error);

  EXPECT_EQ(second, 2);
}

BACKEND_TEST(StatsTest, RefusesABudgetBelowZero) {
  Base base(options());
  EXPECT_EQ(thrown_by([&] { base.on_slow(-1ns, [](const CallbackTime&) {}); }),
            std::errc::invalid_argument);
}

BACKEND_TEST(StatsTest, MeasuresOnTheMonotonicClock) {
  Options timed = real_time();
  timed.timing = true;
  Base base(timed);
  base.post([] {
    const TimePoint end = steady_now() + 2ms;
    while (steady_now() < end) {
    }
  });
  run(base);
  EXPECT_GE(base.stats().longest.took, 2ms);
}

}  // namespace
}  // namespace event_cpp::test
