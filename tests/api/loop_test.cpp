// How long dispatch() and loop() run, and what they return.
#include <algorithm>
#include <deque>
#include <thread>
#include <vector>

#include "support/every_backend.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class LoopTest : public EveryBackend {};

BACKEND_TEST(LoopTest, ReturnsAtOnceIfNothingIsAttached) {
  Base base(options());

  EXPECT_EQ(run(base), 0U);
  EXPECT_EQ(run(base, RunMode::once), 0U);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
}

BACKEND_TEST(LoopTest, ReturnsWhenTheLastEventIsGone) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event reader(base, pipe.reader.get(), Events::read | Events::persist, recorder.note(1));
  Ticker ticker(base, [&](Event& self, Events) {
    reader.detach();
    self.detach();
  });

  reader.attach();
  ticker.attach(1s);
  drain(pipe.reader);
  EXPECT_EQ(run(base), 1U);

  EXPECT_FALSE(base.running());
}

BACKEND_TEST(LoopTest, CountsTheCallbacksThatRan) {
  Base base(options());
  std::deque<Timer> timers;
  for (int i = 0; i < 5; ++i) timers.emplace_back(base, [] {}).attach(std::chrono::seconds(i));
  base.post([] {});
  base.after(1h, [] {});

  EXPECT_EQ(base.dispatch(), 7U);
  EXPECT_EQ(base.dispatch(), 0U);
}

BACKEND_TEST(LoopTest, WaitsForOneCallbackWithOnce) {
  Base base(options());
  Timer first(base, recorder.note(1));
  Timer second(base, recorder.note(2));
  first.attach(1h);
  second.attach(2h);

  EXPECT_EQ(run(base, RunMode::once), 1U);
  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_EQ(run(base, RunMode::once), 1U);
  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(LoopTest, RunsTheWholeBatchWithOnce) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  std::deque<Event> events;
  for (int i = 0; i < 5; ++i) {
    events.emplace_back(base, pipe.reader.get(), Events::read | Events::persist, recorder.note(i))
        .attach();
  }

  EXPECT_EQ(run(base, RunMode::once), 5U);

  EXPECT_EQ(recorder.order, (Order{0, 1, 2, 3, 4}));
}

BACKEND_TEST(LoopTest, NeverWaitsWithNonblock) {
  Base base(real_time());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::persist, recorder.note(1));
  event.attach(1h);

  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  EXPECT_EQ(base.loop(RunMode::nonblock | RunMode::keep_alive), 0U);
  write_bytes(pipe.writer);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
}

BACKEND_TEST(LoopTest, RunsOneBatchWithNonblockThoughSomethingIsAlwaysReady) {
  Base base(options());
  const Fd file = regular_file();
  const Pipe pipe = readable_pipe();
  Event on_file(base, file.get(), Events::write | Events::persist, recorder.note(1));
  Event on_pipe(base, pipe.reader.get(), Events::read | Events::persist, recorder.note(2));
  Ticker ticker(base, recorder.note(3));
  on_file.attach();
  on_pipe.attach();
  ticker.attach(0s);

  EXPECT_EQ(base.loop(RunMode::nonblock), 3U);
  EXPECT_EQ(base.loop(RunMode::once | RunMode::nonblock), 3U);
}

BACKEND_TEST(LoopTest, StaysWithKeepAliveUntilItIsStopped) {
  Base base(options());
  std::thread other([&] {
    base.post(recorder.note(1));
    base.post([&] { base.post([&] { base.stop(); }); });
  });

  EXPECT_EQ(run(base, RunMode::keep_alive), 3U);
  other.join();

  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(LoopTest, WaitsForAPostWithOnceAndKeepAlive) {
  Base base(options());
  std::thread other([&] { base.post(recorder.note(1)); });

  EXPECT_EQ(run(base, RunMode::once | RunMode::keep_alive), 1U);
  other.join();

  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(LoopTest, ReturnsAlthoughAnEventThatDoesNotKeepItAliveIsAttached) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event idle(base, pipe.reader.get(), Events::read | Events::persist, Never());
  Ticker ticker(base, recorder.note(1));
  Timer timer(base, recorder.note(2));
  idle.keep_alive(false);
  ticker.keep_alive(false);

  idle.attach();
  ticker.attach(1s);
  timer.attach(3s + 500ms);
  EXPECT_EQ(run(base), 4U);

  EXPECT_EQ(recorder.order, (Order{1, 1, 1, 2}));
  EXPECT_EQ(base.size(), 2U) << "they are attached all the same";
  EXPECT_EQ(run(base), 0U);
}

BACKEND_TEST(LoopTest, CountsAnEventAsSoonAsItKeepsAlive) {
  Base base(options());
  Ticker ticker(base, [&](Event& self, Events) {
    recorder.order.push_back(1);
    if (recorder.order.size() == 3) self.keep_alive(false);
  });
  ticker.keep_alive(false);

  ticker.attach(1s);
  EXPECT_EQ(run(base), 0U);
  ticker.keep_alive(true);
  EXPECT_EQ(run(base), 3U);

  EXPECT_TRUE(ticker.attached());
  EXPECT_EQ(run(base), 0U);
}

BACKEND_TEST(LoopTest, RemembersWhetherADetachedEventKeepsAlive) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, Never());
  event.keep_alive(false);
  event.attach();
  event.detach();
  event.attach();

  EXPECT_EQ(run(base), 0U);
  event.keep_alive(true);
  event.keep_alive(true);
  event.keep_alive(false);
  EXPECT_EQ(run(base), 0U);
}

BACKEND_TEST(LoopTest, RefusesToRunInACallback) {
  Base base(options());
  Timer second(base, recorder.note(2));
  Timer first(base, [&] {
    EXPECT_EQ(thrown_by([&] { base.dispatch(); }), Errc::reentered);
    EXPECT_EQ(thrown_by([&] { base.loop(RunMode::nonblock); }), Errc::reentered);
    recorder.order.push_back(1);
  });
  base.post([&] { EXPECT_EQ(thrown_by([&] { base.dispatch(); }), Errc::reentered); });

  first.attach(1s);
  second.attach(1s);
  EXPECT_EQ(run(base), 3U);

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(LoopTest, RunsAnotherBaseInACallback) {
  Base inner(options());
  Timer in_inner(inner, recorder.note(1));
  in_inner.attach(1s);
  Base outer(options());
  Timer in_outer(outer, [&] {
    EXPECT_FALSE(inner.running());
    EXPECT_EQ(inner.dispatch(), 1U);
    recorder.order.push_back(2);
  });

  in_outer.attach(1s);
  run(outer);

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(LoopTest, KnowsWhetherItRuns) {
  Base base(options());
  Timer timer(base, [&] { EXPECT_TRUE(base.running()); });
  base.post([&] { EXPECT_TRUE(base.running()); });
  timer.attach();

  EXPECT_FALSE(base.running());
  run(base);
  EXPECT_FALSE(base.running());
}

BACKEND_TEST(LoopTest, CountsWhatIsAttached) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event reader(base, pipe.reader.get(), Events::read, [] {});
  Event persistent(base, pipe.reader.get(), Events::read | Events::persist, [] {});
  Timer timer(base, [] {});
  EXPECT_EQ(base.size(), 0U);

  reader.attach();
  persistent.attach();
  timer.attach(1s);
  base.after(1s, [] {});
  base.once(pipe.reader.get(), Events::read, 0s, [] {});
  EXPECT_EQ(base.size(), 5U);
  base.loop(RunMode::nonblock);
  EXPECT_EQ(base.size(), 3U);
  persistent.detach();
  time.advance(1s);
  base.loop(RunMode::nonblock);
  EXPECT_EQ(base.size(), 0U);
}

// Fairness.

BACKEND_TEST(LoopTest, HasWorkWhileDispatchWouldGoOn) {
  Base base(options());
  EXPECT_FALSE(base.has_work());
  base.post([] {});
  EXPECT_TRUE(base.has_work());
  base.dispatch();
  EXPECT_FALSE(base.has_work());

  Timer timer(base, [] {});
  timer.keep_alive(false);
  timer.attach(1s);
  EXPECT_FALSE(base.has_work());
  timer.keep_alive(true);
  EXPECT_TRUE(base.has_work());
  timer.detach();
  timer.activate(Events::timeout);
  EXPECT_TRUE(base.has_work());
  base.dispatch();
  EXPECT_FALSE(base.has_work());
}

BACKEND_TEST(LoopTest, LooksAtTheKernelAlthoughAPostedFunctionAlwaysPostsAnother) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  int posted = 0, served = 0, ticks = 0;
  Event ready(base, pipe.reader.get(), Events::read | Events::persist, [&] { ++served; });
  Ticker ticker(base, [&] { ++ticks; });
  struct Again {
    void operator()() const {
      ++*count;
      time->advance(1ms);
      if (*count < 1000) base->post(*this);
    }
    Base* base;
    int* count;
    ManualTime* time;
  };
  base.post(Again{&base, &posted, &time});

  ready.attach();
  ticker.attach(1ms);
  for (int i = 1; i <= 1000; ++i) {
    base.loop(RunMode::nonblock);
    ASSERT_EQ(posted, i);
    ASSERT_EQ(served, i);
    ASSERT_EQ(ticks, i - 1);
  }
}

BACKEND_TEST(LoopTest, LooksAtTheKernelAlthoughEventsAlwaysActivateEachOther) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  int served = 0, handed_over = 0;
  Event ready(base, pipe.reader.get(), Events::read | Events::persist, [&] {
    if (++served == 100) base.stop();
  });
  Event* other = nullptr;
  Event ping(base, -1, Events::timeout, [&] {
    ++handed_over;
    other->activate(Events::timeout);
  });
  Event pong(base, -1, Events::timeout, [&] { ping.activate(Events::timeout); });
  other = &pong;

  ready.attach();
  ping.activate(Events::timeout);
  run(base);

  EXPECT_GT(handed_over, 40);
}

BACKEND_TEST(LoopTest, ServesEachOfManyReadyDescriptorsBeforeAnyTwice) {
  const std::size_t limit = raise_descriptor_limit();
  const std::size_t count = std::min<std::size_t>(10'000, limit - 100);
  Base base(options());
  const Pipe pipe = readable_pipe();
  std::deque<Fd> copies;
  std::deque<Event> events;
  std::vector<int> served(count);
  std::size_t first_round = 0;
  bool unfair = false;
  for (std::size_t i = 0; i < count; ++i) {
    copies.push_back(duplicate(pipe.reader));
    events.emplace_back(base, copies.back().get(), Events::read | Events::persist, [&, i] {
      if (++served[i] == 1) ++first_round;
      if (served[i] == 2) unfair |= first_round < count;
      if (served[i] == 3) base.stop_now();
    });
    events.back().attach();
  }

  run(base);

  EXPECT_FALSE(unfair);
  EXPECT_EQ(first_round, count);
}

// Sleep.

// The kernel may switch a thread for reasons of its own, so the number of switches has a generous
// bound: a loop that wakes every few milliseconds passes it many times over.
BACKEND_TEST(LoopTest, DoesNotWakeWhileNothingHappens) {
  Base base(real_time());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, Never());
  event.attach(1h);
  long switches = 0;
  Stats before, after;
  base.post([&] {
    switches = voluntary_context_switches();
    before = base.stats();
  });
  std::thread other([&] {
    std::this_thread::sleep_for(600ms);  // the window in which nothing happens
    base.post([&] {
      switches = voluntary_context_switches() - switches;
      after = base.stats();
      base.stop();
    });
  });

  run(base);
  other.join();

  EXPECT_LE(after.iterations - before.iterations, 2U) << "one poll, one sleep";
  EXPECT_LE(after.waits - before.waits, 2U);
  EXPECT_LE(switches, 30);
}

}  // namespace
}  // namespace event_cpp::test
