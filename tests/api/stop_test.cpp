// stop(), stop_now() and stop_after().
#include <atomic>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "support/every_backend.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class StopTest : public EveryBackend {};

BACKEND_TEST(StopTest, StopsAfterTheCallbacksThatAreActive) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  std::deque<Event> events;
  for (int i = 0; i < 4; ++i) {
    events.emplace_back(
        base, pipe.reader.get(), Events::read | Events::persist,
        [&, i] {
          recorder.order.push_back(i);
          if (i == 1) base.stop();
        },
        i == 3 ? Priority::low : Priority::middle);
    events.back().attach();
  }

  EXPECT_EQ(run(base), 4U);

  EXPECT_EQ(recorder.order, (Order{0, 1, 2, 3}));
}

BACKEND_TEST(StopTest, StopsBeforeWhatBecomesActiveAfterwards) {
  Base base(options());
  Timer later(base, Never());
  Event* stopping = nullptr;
  Event event(base, -1, Events::timeout, [&] {
    base.stop();
    later.attach();
    if (stopping != nullptr) stopping->activate(Events::timeout);
    recorder.order.push_back(1);
  });
  stopping = &event;

  event.attach();
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_TRUE(later.attached());
}

BACKEND_TEST(StopTest, KeepsForTheNextDispatchWhatACallbackPostsAndThenStops) {
  Base base(options());
  base.post([&] {
    base.post(recorder.note(1));
    base.stop();
  });

  EXPECT_EQ(run(base), 1U);
  EXPECT_EQ(recorder.order, Order{});
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(StopTest, LeavesTheRestActiveWithStopNow) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  std::deque<Event> events;
  for (int i = 0; i < 5; ++i) {
    events.emplace_back(base, pipe.reader.get(), Events::read, [&, i] {
      recorder.order.push_back(i);
      if (i == 1) base.stop_now();
    });
    events.back().attach();
  }

  EXPECT_EQ(run(base), 2U);
  EXPECT_EQ(std::exchange(recorder.order, {}), (Order{0, 1}));
  EXPECT_TRUE(events[2].attached());
  drain(pipe.reader);
  EXPECT_EQ(run(base), 3U) << "they are active, although nothing is left to read";

  EXPECT_EQ(recorder.order, (Order{2, 3, 4}));
}

BACKEND_TEST(StopTest, LeavesTimersAndPostedFunctionsActiveWithStopNow) {
  Base base(options());
  Timer first(base, [&] { base.stop_now(); });
  Timer second(base, recorder.note(2));
  base.post(recorder.note(3));
  base.post(recorder.note(4));

  first.attach();
  second.attach();
  EXPECT_EQ(run(base), 1U);
  EXPECT_EQ(recorder.order, Order{});
  EXPECT_EQ(run(base), 3U);

  EXPECT_EQ(recorder.order, (Order{2, 3, 4}));
}

BACKEND_TEST(StopTest, ForgetsWhatStopNowLeftActiveIfItIsDetached) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event first(base, pipe.reader.get(), Events::read, [&] { base.stop_now(); });
  Event second(base, pipe.reader.get(), Events::read, Never());
  first.attach();
  second.attach();
  run(base);

  EXPECT_TRUE(second.detach());

  EXPECT_EQ(run(base), 0U);
}

BACKEND_TEST(StopTest, KeepsAStopForTheNextDispatchAndNoLonger) {
  Base base(options());
  Timer timer(base, recorder.note(1));
  timer.attach(1h);

  base.stop();
  base.stop();
  EXPECT_EQ(run(base), 0U);
  EXPECT_EQ(run(base), 1U);
}

BACKEND_TEST(StopTest, DoesNotLookAtTheKernelAfterAStopThatCameBeforeDispatch) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event ready(base, pipe.reader.get(), Events::read, recorder.note(1));
  ready.attach();
  base.post(recorder.note(2));

  base.stop();
  EXPECT_EQ(run(base), 0U);
  EXPECT_EQ(run(base), 2U) << "nothing was lost";

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(StopTest, RunsWhatWasLeftActiveAfterAStopThatCameBeforeDispatch) {
  Base base(options());
  Timer first(base, [&] { base.stop_now(); });
  Timer second(base, recorder.note(2));
  first.attach();
  second.attach();
  run(base);

  base.stop();
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(recorder.order, Order{2});
}

BACKEND_TEST(StopTest, KeepsAStopNowForTheNextDispatchAndNoLonger) {
  Base base(options());
  base.post(recorder.note(1));

  base.stop_now();
  EXPECT_EQ(run(base), 0U);
  EXPECT_EQ(run(base), 1U);
}

BACKEND_TEST(StopTest, DoesNotCarryAStopThatEndedADispatchIntoTheNext) {
  Base base(options());
  Timer last(base, [&] { base.stop(); });
  last.attach();
  EXPECT_EQ(run(base), 1U) << "it would have returned without the stop as well";

  Timer next(base, recorder.note(1));
  next.attach(1s);
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(StopTest, EndsOnceWithoutACallbackWhenStopped) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, Never());
  event.attach();
  std::thread other([&] { base.stop(); });

  EXPECT_EQ(run(base, RunMode::once), 0U);

  other.join();
}

// stop_after()

BACKEND_TEST(StopTest, StopsAfterATime) {
  Base base(options());
  const TimePoint start = time.now();
  Ticker ticker(base, recorder.note(1));
  ticker.attach(10s);

  base.stop_after(25s);
  run(base);

  EXPECT_EQ(recorder.order, (Order{1, 1}));
  EXPECT_EQ(time.now(), start + 25s);
  EXPECT_TRUE(ticker.attached());
}

BACKEND_TEST(StopTest, CountsTheTimeToStopFromTheCall) {
  Base base(options());
  const TimePoint start = time.now();
  Ticker ticker(base, [] {});
  Timer timer(base, [&] {
    time.advance(1s);
    base.stop_after(10s);
  });
  ticker.attach(24h);
  timer.attach(1s);

  run(base);

  EXPECT_EQ(time.now(), start + 12s);
}

BACKEND_TEST(StopTest, IsNotKeptAliveByATimeToStop) {
  Base base(options());
  const TimePoint start = time.now();

  base.stop_after(1h);
  EXPECT_EQ(run(base), 0U);

  EXPECT_EQ(time.now(), start);
}

BACKEND_TEST(StopTest, StopsAtOnceAfterNoTime) {
  Base base(real_time());
  Ticker ticker(base, [] {});
  ticker.attach(1h);

  base.stop_after(0s);
  run(base);

  EXPECT_TRUE(ticker.attached());
}

BACKEND_TEST(StopTest, NeverStopsEarlyOnTheMonotonicClock) {
  Base base(real_time());
  const TimePoint start = steady_now();

  base.stop_after(20ms);
  run(base, RunMode::keep_alive);

  EXPECT_GE(steady_now() - start, 20ms);
}

// From other threads.

BACKEND_TEST(StopTest, StopsWhenAnotherThreadSaysSoWhileItSleeps) {
  Base base(real_time());
  Timer timer(base, Never());
  timer.attach(1h);
  for (int i = 0; i < 100; ++i) {
    std::thread other([&, now = i % 2 == 0] { now ? base.stop_now() : base.stop(); });
    EXPECT_EQ(run(base), 0U);
    other.join();
  }
}

BACKEND_TEST(StopTest, StopsHoweverManyThreadsSaySoAtOnce) {
  Base base(real_time());
  std::atomic<int> round = 0;
  constexpr int kRounds = 200;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int mine = 0; mine < kRounds; ++mine) {
        round.wait(mine);
        base.stop();
      }
    });
  }

  for (int i = 0; i < kRounds; ++i) {
    round = i + 1;
    round.notify_all();
    EXPECT_EQ(run(base, RunMode::keep_alive), 0U);
  }
  for (std::thread& thread : threads) thread.join();
}

BACKEND_TEST(StopTest, MayBeDestroyedAsSoonAsAStopOfAnotherThreadHasEndedIt) {
  for (int i = 0; i < 200; ++i) {
    auto base = std::make_unique<Base>(real_time());
    std::thread other([&stopped = *base] { stopped.stop(); });

    base->loop(RunMode::keep_alive);
    base.reset();

    other.join();
  }
}

BACKEND_TEST(StopTest, ClosesNothingToStop) {
  const std::set<int> before = open_descriptors();
  Base base(real_time());
  Timer timer(base, [&] { base.stop(); });
  Ticker ticker(base, [] {});
  ticker.attach(1h);
  timer.attach(1ms);
  run(base);
  const std::set<int> after_first = open_descriptors();

  for (int i = 0; i < 3; ++i) {
    timer.attach(1ms);
    EXPECT_EQ(run(base), 1U);
  }

  EXPECT_EQ(open_descriptors(), after_first);
  EXPECT_GT(after_first.size(), before.size());
}

}  // namespace
}  // namespace event_cpp::test
