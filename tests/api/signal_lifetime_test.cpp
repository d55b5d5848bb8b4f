// What callbacks of signals may do, and what is left behind.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/every_backend.hpp"
#include "support/forked.hpp"
#include "support/process.hpp"
#include "support/signals.hpp"

namespace event_cpp::test {
namespace {

class SignalLifetimeTest : public Signals {};

BACKEND_TEST(SignalLifetimeTest, MayEndByDetachInTheCallback) {
  Base base(options());
  Signal signal(base, SIGUSR1, [&] {
    recorder.order.push_back(1);
    EXPECT_TRUE(signal.detach());
  });
  signal.attach();

  ::raise(SIGUSR1);
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(SignalLifetimeTest, MayEndByDestructionInTheCallback) {
  Base base(options());
  const Action before = action_of(SIGUSR1);
  std::unique_ptr<Signal> signal;
  signal = std::make_unique<Signal>(base, SIGUSR1, [&] { signal.reset(); });
  signal->attach();

  ::raise(SIGUSR1);
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(signal, nullptr);
  EXPECT_EQ(base.size(), 0U);
  EXPECT_EQ(action_of(SIGUSR1), before);
}

BACKEND_TEST(SignalLifetimeTest, SparesWhatACallbackOfTheBatchDetachedOrDestroyed) {
  Base base(options());
  Signal detached(base, SIGUSR1, Never());
  Signal elsewhere(base, SIGUSR2, Never());
  std::unique_ptr<Signal> destroyed = std::make_unique<Signal>(base, SIGUSR1, Never());
  Signal first(base, SIGUSR1, [&] {
    EXPECT_TRUE(detached.detach());
    EXPECT_TRUE(elsewhere.detach());
    destroyed.reset();
    recorder.order.push_back(1);
  });
  Signal last(base, SIGUSR1, recorder.note(2));
  for (Signal* const signal : {&first, &detached, destroyed.get(), &elsewhere, &last}) {
    signal->attach();
  }

  ::raise(SIGUSR1);
  ::raise(SIGUSR2);
  EXPECT_EQ(base.loop(RunMode::nonblock), 2U);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(SignalLifetimeTest, ForgetsWhatHadComeForAnEventThatIsDetached) {
  Base base(options());
  Signal signal(base, SIGUSR1, Never());
  signal.attach();

  ::raise(SIGUSR1);
  signal.detach();
  signal.attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
}

BACKEND_TEST(SignalLifetimeTest, SparesALaterEventWhatCameForAnotherBase) {
  Base base(options());
  Base other_base(options());
  Signal lasting(base, SIGUSR2, Never());
  Signal other(other_base, SIGUSR1, recorder.note(1));
  Signal later(base, SIGUSR1, Never());
  lasting.attach();
  other.attach();

  ::raise(SIGUSR1);
  later.attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  EXPECT_EQ(other_base.loop(RunMode::nonblock), 1U);
}

BACKEND_TEST(SignalLifetimeTest, BeginsWithTheNextSignalAfterAttachInACallback) {
  Base base(options());
  Signal later(base, SIGUSR2, recorder.note(2));
  Signal first(base, SIGUSR1, [&] {
    recorder.order.push_back(1);
    if (!later.attached()) later.attach();
    ::raise(SIGUSR2);
  });
  first.attach();

  ::raise(SIGUSR1);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.order, (Order{1, 2}));
}

BACKEND_TEST(SignalLifetimeTest, GoesOnAfterACallbackThrew) {
  Base base(options());
  Signal throwing(base, SIGUSR1, [] { throw std::runtime_error("thrown"); });
  Signal other(base, SIGUSR1, recorder.note(2));
  throwing.attach();
  other.attach();

  ::raise(SIGUSR1);
  EXPECT_THROW(base.loop(RunMode::nonblock), std::runtime_error);
  EXPECT_EQ(recorder.order, Order{});
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U) << "the rest of the batch has stayed active";

  EXPECT_EQ(recorder.order, Order{2});
  EXPECT_TRUE(throwing.attached());
}

BACKEND_TEST(SignalLifetimeTest, AllowsAnotherSignalForTheEvent) {
  Base base(options());
  const Action before = action_of(SIGUSR1);
  Event event(base, SIGUSR1, Events::signal | Events::persist, recorder.note(1));
  event.attach();
  EXPECT_EQ(thrown_by([&] { event.assign(SIGUSR2, Events::signal); }), Errc::already_attached);
  event.detach();

  event.assign(SIGUSR2, Events::signal | Events::persist);
  EXPECT_EQ(event.fd(), SIGUSR2);
  event.attach();
  EXPECT_EQ(action_of(SIGUSR1), before);
  ::raise(SIGUSR1);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  ::raise(SIGUSR2);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  event.detach();

  const Pipe pipe = readable_pipe();
  event.assign(pipe.reader.get(), Events::read);
  event.attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(recorder.order, (Order{1, 1}));
}

BACKEND_TEST(SignalLifetimeTest, KeepsTheBaseAliveOnlyIfItIsTo) {
  Base base(options());
  Signal signal(base, SIGUSR1, recorder.note(1));
  signal.keep_alive(false);
  signal.attach();

  EXPECT_EQ(run(base), 0U) << "it returns although the signal is attached";
  Timer timer(base, [] { ::raise(SIGUSR1); });
  Timer longer(base, recorder.note(2));
  timer.attach(1s);
  longer.attach(2s);
  EXPECT_EQ(run(base), 3U);
  EXPECT_EQ(recorder.order, (Order{1, 2})) << "it is delivered as long as something else is";

  signal.keep_alive(true);
  timer.attach(1s);
  base.stop_after(1h);
  recorder.order.clear();
  const TimePoint start = time.now();
  run(base);
  EXPECT_EQ(recorder.order, Order{1});
  EXPECT_EQ(time.now(), start + 1h) << "the base went on until it was stopped";
}

BACKEND_TEST(SignalLifetimeTest, AllowsActivationByHand) {
  Base base(options());
  Signal signal(base, SIGUSR1, recorder.note_fired());
  signal.activate(Events::signal);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  signal.attach();
  signal.activate(Events::signal);
  ::raise(SIGUSR1);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.fired, (Fired{Events::signal, Events::signal}));
}

// What is left behind.

BACKEND_TEST(SignalLifetimeTest, LeavesNoDescriptorOpen) {
  const std::set<int> before = open_descriptors();
  {
    Base base(options());
    Signal first(base, SIGUSR1, recorder.note(1));
    Signal second(base, SIGUSR2, recorder.note(2));
    first.attach();
    const std::set<int> attached = open_descriptors();
    for (int i = 0; i < 10; ++i) {
      second.attach();
      ::raise(SIGUSR2);
      base.loop(RunMode::nonblock);
      second.detach();
      first.detach();
      first.attach();
    }
    EXPECT_EQ(open_descriptors(), attached) << "one for all of them";
  }
  EXPECT_EQ(open_descriptors(), before);
}

BACKEND_TEST(SignalLifetimeTest, MayOutlastTheBaseAndThenAttachesToNothing) {
  const std::set<int> before = open_descriptors();
  const Action action = action_of(SIGUSR1);
  std::optional<Base> base(options());
  std::deque<Signal> signals;
  for (int i = 0; i < 3; ++i) signals.emplace_back(*base, SIGUSR1, Never()).attach();
  ::raise(SIGUSR1);

  base.reset();

  for (Signal& signal : signals) EXPECT_FALSE(signal.attached());
  signals.clear();
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(action_of(SIGUSR1), action);
  ::raise(SIGUSR1);
  EXPECT_EQ(strays, 1);
}

// Bases that come and go in several threads, while each of them runs handlers.
BACKEND_TEST(SignalLifetimeTest, HoldsWhileManyThreadsAttachAndDetach) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 200;
  const Action before = action_of(SIGUSR1);
  std::atomic<int> running = kThreads;
  std::atomic<int> callbacks = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      Base lasting(real_time());
      Signal other(lasting, i % 2 == 0 ? SIGUSR1 : SIGUSR2, [&] { ++callbacks; });
      for (int round = 0; round < kRounds; ++round) {
        Base base(real_time());
        std::optional<Signal> signal;
        signal.emplace(base, round % 2 == 0 ? SIGUSR1 : SIGUSR2, [&] { ++callbacks; });
        signal->attach();
        other.attach();
        ::pthread_kill(::pthread_self(), signal->signo());
        EXPECT_EQ(run(base, RunMode::once), 1U);
        lasting.loop(RunMode::nonblock);
        other.detach();
        if (round % 3 == 0) signal.reset();  // else the base goes first
      }
      --running;
    });
  }
  while (running > 0) {
    raise_for_process(SIGUSR1);
    raise_for_process(SIGUSR2);
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_GE(callbacks, kThreads * kRounds);
  EXPECT_EQ(action_of(SIGUSR1), before);
  EXPECT_EQ(action_of(SIGUSR2), before);
}

// In the child of a fork.

BACKEND_TEST(SignalLifetimeTest, LeavesWhatCameBeforeAForkToTheParent) {
  EXPECT_TRUE(succeeds_in_child([&] {
    Base base(options());
    Signal signal(base, SIGUSR1, recorder.note(1));
    signal.attach();
    ::raise(SIGUSR1);

    EXPECT_TRUE(succeeds_in_child([&] {
      base.after_fork();
      EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
      ::raise(SIGUSR1);
      EXPECT_EQ(base.loop(RunMode::nonblock), 1U) << "what comes to the child is the child's";
    }));

    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  }));
}

}  // namespace
}  // namespace event_cpp::test
