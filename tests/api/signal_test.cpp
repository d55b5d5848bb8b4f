// Signals: from whoever raises them to callbacks.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <optional>
#include <thread>
#include <vector>

#include "support/every_backend.hpp"
#include "support/signals.hpp"

namespace event_cpp::test {
namespace {

class SignalTest : public Signals {};

BACKEND_TEST(SignalTest, IsDeliveredEachTimeItComes) {
  Base base(options());
  Signal signal(base, SIGUSR1, recorder.note(1));
  signal.attach();

  for (int i = 1; i <= 3; ++i) {
    ::raise(SIGUSR1);
    EXPECT_EQ(run(base, RunMode::once), 1U);
    EXPECT_EQ(recorder.order, Order(static_cast<std::size_t>(i), 1));
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U) << "it has come once";
  }

  EXPECT_TRUE(signal.attached());
  EXPECT_EQ(signal.signo(), SIGUSR1);
  EXPECT_EQ(strays, 0);
}

BACKEND_TEST(SignalTest, IsDeliveredOnceToAPlainEvent) {
  Base base(options());
  bool attached = true;
  Event event(base, SIGUSR1, Events::signal, [&](Event& fired, Events) {
    attached = fired.attached();
    recorder.order.push_back(1);
  });
  event.attach();

  ::raise(SIGUSR1);
  EXPECT_EQ(run(base), 1U) << "nothing keeps the base alive after it";
  EXPECT_FALSE(attached) << "it is detached before its callback";
  ::raise(SIGUSR1);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);

  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_EQ(strays, 1) << "the second one is not the event's any more";
}

BACKEND_TEST(SignalTest, IsDeliveredAgainToAPlainEventThatPersists) {
  Base base(options());
  Event event(base, SIGUSR1, Events::signal | Events::persist, recorder.note(1));
  event.attach();

  for (int i = 0; i < 3; ++i) {
    ::raise(SIGUSR1);
    run(base, RunMode::once);
  }

  EXPECT_EQ(recorder.order, (Order{1, 1, 1}));
}

BACKEND_TEST(SignalTest, IsDeliveredToAOneShotThatAttachesItselfAgain) {
  Base base(options());
  int left = 3;
  Event event(base, SIGUSR1, Events::signal, [&] {
    if (--left == 0) return;
    event.attach();
    ::raise(SIGUSR1);
  });
  event.attach();

  ::raise(SIGUSR1);
  EXPECT_EQ(run(base), 3U);

  EXPECT_EQ(left, 0);
}

BACKEND_TEST(SignalTest, IsDeliveredToWhatABaseOwns) {
  Base base(options());
  base.once(SIGUSR1, Events::signal | Events::persist, 0s, recorder.note(1));

  ::raise(SIGUSR1);
  EXPECT_EQ(run(base), 1U);
  ::raise(SIGUSR1);

  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_EQ(strays, 1);
}

BACKEND_TEST(SignalTest, IsToldOfToEveryFormOfCallback) {
  Base base(options());
  const Event* told = nullptr;
  Signal whole(base, SIGUSR1, [&](Event& event, Events fired) {
    told = &event;
    recorder.fired.push_back(fired);
  });
  Signal what(base, SIGUSR1, recorder.note_fired());
  Signal nothing(base, SIGUSR1, recorder.note(3));
  for (Signal* const signal : {&whole, &what, &nothing}) signal->attach(1h);

  ::raise(SIGUSR1);
  EXPECT_EQ(run(base, RunMode::once), 3U);

  EXPECT_EQ(told, &whole);
  EXPECT_EQ(recorder.fired, (Fired{Events::signal, Events::signal})) << "and nothing else";
  EXPECT_EQ(recorder.order, Order{3});
}

BACKEND_TEST(SignalTest, IsDeliveredToEveryEventInTheOrderOfAttaching) {
  Base base(options());
  std::deque<Signal> signals;
  for (int i = 0; i < 5; ++i) signals.emplace_back(base, SIGUSR1, recorder.note(i));
  for (const std::size_t i : {3U, 0U, 4U, 2U, 1U}) signals[i].attach();

  ::raise(SIGUSR1);
  EXPECT_EQ(run(base, RunMode::once), 5U);
  EXPECT_EQ(std::exchange(recorder.order, {}), (Order{3, 0, 4, 2, 1}));

  signals[0].detach();
  signals[4].detach();
  signals[0].attach();
  ::raise(SIGUSR1);
  EXPECT_EQ(run(base, RunMode::once), 4U);
  EXPECT_EQ(recorder.order, (Order{3, 2, 1, 0}));
}

BACKEND_TEST(SignalTest, IsDeliveredToItsOwnEventsOnly) {
  Base base(options());
  Signal first(base, SIGUSR1, recorder.note(1));
  Signal second(base, SIGUSR2, recorder.note(2));
  Signal highest(base, highest_own_signal(), recorder.note(3));
  for (Signal* const signal : {&first, &second, &highest}) signal->attach();

  for (const int signo : {SIGUSR2, highest_own_signal(), SIGUSR1}) {
    ::raise(signo);
    EXPECT_EQ(run(base, RunMode::once), 1U);
  }

  EXPECT_EQ(recorder.order, (Order{2, 3, 1}));
}

BACKEND_TEST(SignalTest, IsDeliveredToEveryBaseOfAThread) {
  std::deque<Base> bases;
  std::deque<Signal> signals;
  for (int i = 0; i < 3; ++i) {
    signals.emplace_back(bases.emplace_back(options()), SIGUSR1, recorder.note(i)).attach();
  }

  ::raise(SIGUSR1);
  for (Base& base : bases) EXPECT_EQ(run(base, RunMode::once), 1U);
  EXPECT_EQ(recorder.order, (Order{0, 1, 2}));

  signals[1].detach();
  ::raise(SIGUSR1);
  EXPECT_EQ(bases[0].loop(RunMode::nonblock), 1U);
  EXPECT_EQ(bases[1].loop(RunMode::nonblock), 0U);
  EXPECT_EQ(bases[2].loop(RunMode::nonblock), 1U);
}

BACKEND_TEST(SignalTest, IsDeliveredToEveryBaseOfManyThreads) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 50;
  std::atomic<int> ready = 0;
  std::atomic<int> delivered = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    // Two of them can run the handler, two cannot.
    const std::optional<Blocked> blocked =
        i % 2 == 0 ? std::optional<Blocked>(std::in_place) : std::nullopt;
    threads.emplace_back([&] {
      Base base(real_time());
      int rounds = 0;
      Signal signal(base, SIGUSR1, [&] {
        ++delivered;
        delivered.notify_all();
        if (++rounds == kRounds) base.stop();
      });
      signal.attach();
      ++ready;
      ready.notify_all();
      run(base);
      EXPECT_EQ(rounds, kRounds);
    });
  }
  for (int seen = ready; seen < kThreads; seen = ready) ready.wait(seen);

  for (int round = 1; round <= kRounds; ++round) {
    raise_for_process(SIGUSR1);
    for (int seen = delivered; seen < round * kThreads; seen = delivered) delivered.wait(seen);
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_EQ(delivered, kRounds * kThreads);
  EXPECT_EQ(strays, 0);
}

BACKEND_TEST(SignalTest, IsDeliveredAtItsPriority) {
  Base base(options());
  Signal low(base, SIGUSR1, recorder.note(3), Priority::low);
  Signal middle(base, SIGUSR2, recorder.note(2));
  Signal high(base, SIGUSR1, recorder.note(1), Priority::high);
  for (Signal* const signal : {&low, &middle, &high}) signal->attach();

  ::raise(SIGUSR2);
  ::raise(SIGUSR1);
  run(base, RunMode::once);
  EXPECT_EQ(std::exchange(recorder.order, {}), (Order{1, 2, 3}));

  low.set_priority(Priority::high);
  high.set_priority(Priority::low);
  ::raise(SIGUSR1);
  run(base, RunMode::once);
  EXPECT_EQ(recorder.order, (Order{3, 1}));
}

BACKEND_TEST(SignalTest, IsDeliveredAfterTimersAndBeforePostedFunctions) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  base.post(recorder.note(4));
  Signal signal(base, SIGUSR1, recorder.note(3));
  Timer timer(base, recorder.note(2));
  Event event(base, pipe.reader.get(), Events::read, recorder.note(1));
  signal.attach();
  timer.attach();
  event.attach();

  ::raise(SIGUSR1);
  EXPECT_EQ(base.loop(RunMode::nonblock), 4U);

  EXPECT_EQ(recorder.order, (Order{1, 2, 3, 4}));
}

BACKEND_TEST(SignalTest, IsWaitedForAsLongAsTheTimeoutSays) {
  Base base(options());
  const TimePoint start = time.now();
  Event event(base, SIGUSR1, Events::signal, recorder.note_fired());
  const Action before = action_of(SIGUSR1);

  event.attach(10s);
  EXPECT_EQ(event.deadline(), start + 10s);
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(recorder.fired, Fired{Events::timeout});
  EXPECT_EQ(time.now(), start + 10s);
  EXPECT_FALSE(event.attached());
  EXPECT_EQ(action_of(SIGUSR1), before);
}

BACKEND_TEST(SignalTest, StartsTheTimeoutOfAPersistentEventAnew) {
  Base base(options());
  const TimePoint start = time.now();
  Signal signal(base, SIGUSR1, recorder.note_fired());
  signal.attach(10s);

  time.advance(4s);
  ::raise(SIGUSR1);
  EXPECT_EQ(run(base, RunMode::once), 1U);
  EXPECT_EQ(signal.deadline(), start + 14s);
  EXPECT_EQ(run(base, RunMode::once), 1U);
  EXPECT_EQ(time.now(), start + 14s);
  EXPECT_EQ(signal.deadline(), start + 24s) << "so does the timeout itself";
  EXPECT_EQ(run(base, RunMode::once), 1U);
  EXPECT_EQ(time.now(), start + 24s);

  EXPECT_EQ(recorder.fired, (Fired{Events::signal, Events::timeout, Events::timeout}));
}

BACKEND_TEST(SignalTest, ArrivesTogetherWithATimeoutInOneCall) {
  Base base(options());
  Signal signal(base, SIGUSR1, recorder.note_fired());
  signal.attach(10s);

  ::raise(SIGUSR1);
  time.advance(10s);
  EXPECT_EQ(run(base, RunMode::once), 1U);

  EXPECT_EQ(recorder.fired, Fired{Events::signal | Events::timeout});
}

BACKEND_TEST(SignalTest, MayBeGivenAnotherTimeout) {
  Base base(options());
  const TimePoint start = time.now();
  Signal signal(base, SIGUSR1, recorder.note_fired());
  signal.attach();
  EXPECT_EQ(signal.deadline(), std::nullopt);

  signal.rearm(5s);
  EXPECT_EQ(run(base, RunMode::once), 1U);
  EXPECT_EQ(time.now(), start + 5s);
  signal.rearm(0s);
  EXPECT_EQ(signal.deadline(), std::nullopt);
  ::raise(SIGUSR1);
  EXPECT_EQ(run(base, RunMode::once), 1U);

  EXPECT_EQ(recorder.fired, (Fired{Events::timeout, Events::signal}));
}

}  // namespace
}  // namespace event_cpp::test
