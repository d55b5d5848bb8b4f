// A base without a kernel side: what works on it, and what it refuses.
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "support/every_backend.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class BackendNoneTest : public testing::Test {
 protected:
  Options options() {
    Options chosen = real_time();
    chosen.time = &time;
    return chosen;
  }

  static Options real_time() {
    Options chosen;
    chosen.backend = Backend::none;
    return chosen;
  }

  ManualTime time;
  Recorder recorder;
};

TEST_F(BackendNoneTest, IsChosenByOptionsAlone) {
  EXPECT_EQ(Base(options()).backend(), Backend::none);
  for (const Backend listed : Base::backends()) EXPECT_NE(listed, Backend::none);
  EXPECT_NE(Base().backend(), Backend::none);
}

TEST_F(BackendNoneTest, IsRefusedAsTheValueOfTheEnvironmentVariable) {
  const char* const before = std::getenv("EVENT_BACKEND");
  const std::string kept = before != nullptr ? before : "";
  ::setenv("EVENT_BACKEND", "none", 1);
  EXPECT_EQ(thrown_by([] { const Base base; }), std::errc::invalid_argument);
  before != nullptr ? ::setenv("EVENT_BACKEND", kept.c_str(), 1) : ::unsetenv("EVENT_BACKEND");
}

TEST_F(BackendNoneTest, OpensNoDescriptor) {
  const int lowest = ::dup(STDOUT_FILENO);
  ::close(lowest);
  Base base(real_time());
  Timer timer(base, [] {});
  Alarm alarm(base, [] {});
  timer.attach(1h);
  alarm.attach(std::chrono::system_clock::now());
  base.post([] {});
  run(base, RunMode::once);

  const int next = ::dup(STDOUT_FILENO);
  ::close(next);
  EXPECT_EQ(next, lowest);
  EXPECT_EQ(base.fd(), -1);
}

TEST_F(BackendNoneTest, RefusesADescriptorWhateverItIsWatchedFor) {
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

TEST_F(BackendNoneTest, RefusesADescriptorThatAnAttachedEventIsModifiedToWaitFor) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::timeout, recorder.note_fired());
  event.attach(1s);

  EXPECT_EQ(event.try_modify(Events::read | Events::timeout), Errc::unsupported);
  EXPECT_EQ(run(base), 1U);
  EXPECT_EQ(recorder.fired, Fired{Events::timeout});
}

TEST_F(BackendNoneTest, RefusesASignalAndLeavesItsDispositionAlone) {
  Base base(options());
  Signal signal(base, SIGUSR1, Never());

  EXPECT_EQ(signal.try_attach(), Errc::unsupported);
  struct sigaction action {};
  ASSERT_EQ(::sigaction(SIGUSR1, nullptr, &action), 0);
  EXPECT_EQ(action.sa_handler, SIG_DFL);
}

TEST_F(BackendNoneTest, RefusesAChildThatIsRunning) {
  Base base(options());
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::pause();
    ::_exit(0);
  }
  Child child(base, pid, [] {});
  EXPECT_EQ(child.try_attach(), Errc::unsupported);
  EXPECT_EQ(child.try_attach(Child::Report::stops), Errc::unsupported);
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

TEST_F(BackendNoneTest, RefusesTheClockThatTheKernelWouldHaveToWatch) {
  Options chosen = real_time();
  chosen.clock = Clock::boottime;
  EXPECT_EQ(thrown_by([&] { const Base base(chosen); }), Errc::unsupported);
}

TEST_F(BackendNoneTest, RunsTimersTickersAndAlarmsInTheOrderOfTheirDeadlines) {
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

TEST_F(BackendNoneTest, RunsEventsTimersAndPostsByPriority) {
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

TEST_F(BackendNoneTest, LetsAnActivatedEventOvertakeLowerPrioritiesAfterASlice) {
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

TEST_F(BackendNoneTest, CallsHooksInEachIteration) {
  Base base(options());
  Hook before(base, Hook::When::before_wait, recorder.note(1));
  Hook after(base, Hook::When::after_wait, recorder.note(2));
  base.post(recorder.note(3));
  run(base, RunMode::once);

  EXPECT_EQ(recorder.order, (Order{1, 2, 3}));
}

TEST_F(BackendNoneTest, ReturnsFromDispatchWhenNothingIsLeft) {
  Base base(real_time());
  EXPECT_EQ(run(base), 0U);
}

TEST_F(BackendNoneTest, SleepsUntilADeadlineWithoutASourceOfTime) {
  Base base(real_time());
  Timer timer(base, recorder.note(1));
  const TimePoint start = steady_now();
  timer.attach(20ms);
  run(base);

  EXPECT_GE(steady_now() - start, 20ms);
  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_LE(base.stats().iterations, 5U) << "it sleeps";
}

TEST_F(BackendNoneTest, IsWokenByThePostsOfOtherThreads) {
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

TEST_F(BackendNoneTest, IsStoppedByAnotherThreadBeforeADeadline) {
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

TEST_F(BackendNoneTest, WaitsForAPostWhileTheTimeStands) {
  ManualTime frozen(ManualTime::Mode::advance_only);
  Options chosen = options();
  chosen.time = &frozen;
  Base base(chosen);
  Timer timer(base, recorder.note(1));
  timer.attach(1h);
  std::thread other([&] { base.post([&] { frozen.advance(1h); }); });
  EXPECT_EQ(run(base), 2U);
  other.join();

  EXPECT_EQ(recorder.order, Order{1});
}

TEST_F(BackendNoneTest, GoesOnInTheChildOfAFork) {
  Base base(options());
  Timer timer(base, [] {});
  timer.attach(1h);
  const pid_t pid = ::fork();
  if (pid == 0) {
    base.after_fork();
    base.post([] {});
    ::_exit(static_cast<int>(base.dispatch()));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WEXITSTATUS(status), 2);
}

}  // namespace
}  // namespace event_cpp::test
