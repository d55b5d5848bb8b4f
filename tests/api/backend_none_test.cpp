// A base without a kernel side: what works on it, and what it refuses.
#include <csignal>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "support/backend_variable.hpp"
#include "support/children.hpp"
#include "support/every_backend.hpp"
#include "support/forked.hpp"
#include "support/process.hpp"
#include "support/signals.hpp"

namespace event_cpp::test {
namespace {

class BackendNoneTest : public EveryBackend {
 public:
  static std::vector<Backend> backends() { return {Backend::none}; }
};

BACKEND_TEST(BackendNoneTest, IsChosenByOptionsAlone) {
  EXPECT_EQ(Base(options()).backend(), Backend::none);
  for (const Backend listed : Base::backends()) EXPECT_NE(listed, Backend::none);
  EXPECT_NE(Base().backend(), Backend::none);
}

BACKEND_TEST(BackendNoneTest, IsRefusedAsTheValueOfTheEnvironmentVariable) {
  const BackendVariable none("none");
  EXPECT_EQ(thrown_by([] { const Base base; }), std::errc::invalid_argument);
}

BACKEND_TEST(BackendNoneTest, OpensNoDescriptor) {
  const std::set<int> before = open_descriptors();
  Base base(real_time());
  Timer timer(base, [] {});
  Alarm alarm(base, [] {});
  timer.attach(1h);
  alarm.attach(std::chrono::system_clock::now());
  base.post([] {});
  run(base, RunMode::once);

  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(base.fd(), -1);
}

BACKEND_TEST(BackendNoneTest, RefusesADescriptorWhateverItIsWatchedFor) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  for (const Events events : {Events::read, Events::write, Events::closed, Events::error,
                              Events::read | Events::edge, Events::urgent}) {
    Event event(base, pipe.reader.get(), events, Never());
    EXPECT_EQ(event.try_attach(), Errc::unsupported);
    EXPECT_EQ(event.try_attach(1s), Errc::unsupported);
    EXPECT_FALSE(event.attached());
  }
  EXPECT_EQ(thrown_by([&] { base.once(pipe.reader.get(), Events::read, 1s, Never()); }),
            Errc::unsupported);
  EXPECT_EQ(run(base), 0U);
}

BACKEND_TEST(BackendNoneTest, RefusesADescriptorThatAnEventIsModifiedToWaitFor) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::timeout, recorder.note_fired());
  event.attach(1s);

  EXPECT_EQ(event.try_modify(Events::read | Events::timeout), Errc::unsupported);
  EXPECT_EQ(run(base), 1U);
  EXPECT_EQ(recorder.fired, Fired{Events::timeout});
}

BACKEND_TEST(BackendNoneTest, RefusesASignalAndLeavesItsDispositionAlone) {
  Base base(options());
  Signal signal(base, SIGUSR1, Never());
  const Action before = action_of(SIGUSR1);

  EXPECT_EQ(signal.try_attach(), Errc::unsupported);
  EXPECT_EQ(action_of(SIGUSR1), before);
}

BACKEND_TEST(BackendNoneTest, RefusesAChildThatIsRunning) {
  Base base(options());
  const Process process;
  Child child(base, process.pid(), [] {});
  EXPECT_EQ(child.try_attach(), Errc::unsupported);
  EXPECT_EQ(child.try_attach(Child::Report::stops), Errc::unsupported);
}

BACKEND_TEST(BackendNoneTest, RefusesTheClockThatTheKernelWouldHaveToWatch) {
  Options chosen = real_time();
  chosen.clock = Clock::boottime;
  EXPECT_EQ(thrown_by([&] { const Base base(chosen); }), Errc::unsupported);
}

BACKEND_TEST(BackendNoneTest, RunsTimersTickersAndAlarmsInTheOrderOfTheirDeadlines) {
  Base base(options());
  const TimePoint start = time.now();
  Timer timer(base, recorder.note(1));
  Alarm alarm(base, recorder.note(2));
  Ticker ticker(base, recorder.note(3));
  alarm.attach(time.wall() + 2h);
  timer.attach(1h);
  ticker.attach(3h);
  base.stop_after(7h);
  run(base);

  EXPECT_EQ(recorder.order, (Order{1, 2, 3, 3}));
  EXPECT_EQ(time.now(), start + 7h);
}

BACKEND_TEST(BackendNoneTest, RunsEventsTimersAndPostsByPriority) {
  Base base(options());
  Timer timer(base, recorder.note(3), Priority::middle);
  Event low(base, -1, Events::none, recorder.note(5), Priority::low);
  Event high(base, -1, Events::none, recorder.note(1), Priority::high);
  timer.attach(-1s);
  low.activate(Events::read);
  high.activate(Events::read);
  base.post(recorder.note(4));
  base.post(recorder.note(2), Priority::high);
  EXPECT_EQ(base.loop(RunMode::nonblock), 5U);

  EXPECT_EQ(recorder.order, (Order{1, 2, 3, 4, 5}));
}

BACKEND_TEST(BackendNoneTest, LetsAnActivatedEventOvertakeLowerPrioritiesAfterASlice) {
  Options chosen = options();
  chosen.slice = 2;
  Base base(chosen);
  std::vector<std::unique_ptr<Event>> low;
  for (int i = 0; i < 4; ++i) {
    low.push_back(std::make_unique<Event>(
        base, -1, Events::none,
        [&, i] {
          recorder.order.push_back(i);
          if (i == 0) base.post(recorder.note(9), Priority::high);
        },
        Priority::low));
    low.back()->activate(Events::read);
  }
  run(base);

  EXPECT_EQ(recorder.order, (Order{0, 1, 9, 2, 3}));
}

BACKEND_TEST(BackendNoneTest, CallsHooksInEachIteration) {
  Base base(options());
  Hook before(base, Hook::When::before_wait, recorder.note(1));
  Hook after(base, Hook::When::after_wait, recorder.note(2));
  base.post(recorder.note(3));
  run(base, RunMode::once);

  EXPECT_EQ(recorder.order, (Order{1, 2, 3}));
}

BACKEND_TEST(BackendNoneTest, ReturnsFromDispatchWhenNothingIsLeft) {
  Base base(real_time());
  EXPECT_EQ(run(base), 0U);
}

BACKEND_TEST(BackendNoneTest, SleepsUntilADeadlineWithoutASourceOfTime) {
  Base base(real_time());
  Timer timer(base, recorder.note(1));
  const TimePoint start = steady_now();
  timer.attach(20ms);
  run(base);

  EXPECT_GE(steady_now() - start, 20ms);
  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_LE(base.stats().iterations, 5U) << "it sleeps";
}

BACKEND_TEST(BackendNoneTest, IsWokenByThePostsOfOtherThreads) {
  constexpr int kPosts = 1000;
  Base base(real_time());
  int ran = 0;
  std::thread other([&] {
    for (int i = 0; i < kPosts; ++i) {
      base.post([&] {
        if (++ran == kPosts) base.stop();
      });
      if (i % 10 == 0) std::this_thread::yield();
    }
  });
  run(base, RunMode::keep_alive);
  other.join();

  EXPECT_EQ(ran, kPosts);
}

BACKEND_TEST(BackendNoneTest, IsStoppedByAnotherThreadBeforeADeadline) {
  Base base(real_time());
  Timer timer(base, Never());
  timer.attach(1h);
  std::thread other([&, loop = this_thread()] {
    await_sleep_of(loop);
    base.stop();
  });
  EXPECT_EQ(run(base), 0U);
  other.join();
}

BACKEND_TEST(BackendNoneTest, WaitsForAPostWhileTheTimeStands) {
  ManualTime frozen(ManualTime::Mode::advance_only);
  Base base(on(frozen));
  Timer timer(base, recorder.note(1));
  timer.attach(1h);
  std::thread other([&] { base.post([&] { frozen.advance(1h); }); });
  EXPECT_EQ(run(base), 2U);
  other.join();

  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(BackendNoneTest, GoesOnInTheChildOfAFork) {
  Base base(options());
  Timer timer(base, [] {});
  timer.attach(1h);
  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    base.post([] {});
    EXPECT_EQ(base.dispatch(), 2U);
  }));
}

}  // namespace
}  // namespace event_cpp::test
