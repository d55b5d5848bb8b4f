// How many callbacks signals are, and whoever raises them.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "support/every_backend.hpp"
#include "support/process.hpp"
#include "support/signals.hpp"

namespace event_cpp::test {
namespace {

class SignalBurstTest : public Signals {};

BACKEND_TEST(SignalBurstTest, BecomesOneHoweverOftenItCameBeforeAnIteration) {
  Base base(options());
  Signal first(base, SIGUSR1, recorder.note(1));
  Signal second(base, lowest_own_signal(),
                recorder.note(2));  // of which the kernel itself loses none
  first.attach();
  second.attach();

  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 1000; ++i) {
      ::raise(SIGUSR1);
      ::raise(lowest_own_signal());
    }
    EXPECT_EQ(base.loop(RunMode::nonblock), 2U);
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
    EXPECT_EQ(std::exchange(recorder.order, {}), (Order{1, 2}));
  }
}

BACKEND_TEST(SignalBurstTest, ThatACallbackRaisesIsDeliveredOnceInTheNextIteration) {
  Base base(options());
  int iterations = 0;
  Signal signal(base, SIGUSR1, [&] {
    for (int i = 0; i < 10; ++i) ::raise(SIGUSR1);
    recorder.order.push_back(iterations);
  });
  signal.attach();

  ::raise(SIGUSR1);
  for (iterations = 1; iterations <= 3; ++iterations) {
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  }

  EXPECT_EQ(recorder.order, (Order{1, 2, 3}));
}

// More than the pipe of a handler that writes bytes could hold.
constexpr int kMoreThanAPipeHolds = 200'000;

BACKEND_TEST(SignalBurstTest, IsNotLostHoweverManyComeBeforeDispatch) {
  Base base(options());
  Signal storm(base, SIGUSR1, recorder.note(1));
  Signal last(base, SIGUSR2, recorder.note(2));
  storm.attach();
  last.attach();

  for (int i = 0; i < kMoreThanAPipeHolds; ++i) ::raise(SIGUSR1);
  ::raise(SIGUSR2);

  EXPECT_EQ(base.loop(RunMode::nonblock), 2U);
  EXPECT_EQ(recorder.order, (Order{1, 2}));
  ::raise(SIGUSR1);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U) << "nothing is full";
}

BACKEND_TEST(SignalBurstTest, IsNotLostHoweverManyComeWhileTheBaseSleepsAndWorks) {
  Base base(real_time());
  int storms = 0;
  Signal storm(base, SIGUSR1, [&] { ++storms; });
  Signal last(base, SIGUSR2, [&] { base.stop(); });
  storm.attach();
  last.attach();
  std::thread other = thread_without_signals([] {
    for (int i = 0; i < kMoreThanAPipeHolds; ++i) raise_for_process(SIGUSR1);
    raise_for_process(SIGUSR2);
  });

  run(base);
  other.join();

  EXPECT_GE(storms, 1);
  EXPECT_LE(storms, kMoreThanAPipeHolds);
  base.loop(RunMode::nonblock);  // what came between the last look and the stop
  const int before = storms;
  ::raise(SIGUSR1);
  EXPECT_EQ(run(base, RunMode::once), 1U);
  EXPECT_EQ(storms, before + 1);
  EXPECT_EQ(strays, 0);
}

BACKEND_TEST(SignalBurstTest, DoesNotDeadlockWithMemoryThatTheLoopAllocates) {
  constexpr int kSignals = 100'000;
  Base base(real_time());
  std::atomic<bool> done = false;
  std::atomic<int> callbacks = 0;
  Signal signal(base, SIGUSR1, [&] { ++callbacks; });
  Event busy(base, -1, Events::timeout | Events::persist, [&] {
    // Memory, and a lock of the library's that the signals' handler must not need.
    for (std::size_t i = 1; i < 50; ++i)
      const std::vector<std::string> memory(i, "not so short a string");
    Signal passing(base, SIGUSR2, Never());
    passing.attach();
    // The storm may have ended within this first call, before any of it was delivered.
    if (done && callbacks > 0) busy.detach();
  });
  signal.attach();
  signal.keep_alive(false);
  busy.attach();
  std::thread other = thread_without_signals([&, loop = ::pthread_self()] {
    for (int i = 0; i < kSignals; ++i) ::pthread_kill(loop, SIGUSR1);
    done = true;
  });

  {
    const Bounded bounded(base, 50s);
    base.dispatch();
  }
  other.join();

  EXPECT_GE(callbacks, 1);
  EXPECT_EQ(strays, 0);
}

BACKEND_TEST(SignalBurstTest, KeepsErrnoOfWhatItInterrupts) {
  constexpr int kRounds = 200;
  constexpr int kOwn = 12345;
  const std::set<int> before = open_descriptors();
  Base base(real_time());
  [[maybe_unused]] const int counter = new_descriptor(before, "eventfd");
  std::atomic<int> delivered = 0;
  Signal signal(base, SIGUSR1, [&] {
    ++delivered;
    delivered.notify_one();
  });
  signal.attach();

  std::thread other([&] {
    for (int round = 0; round < kRounds; ++round) {
#if EVENT_HAVE_EPOLL
      // Full: that the handler meets an error of its own.
      constexpr std::uint64_t kFull = ~std::uint64_t{0} - 1;
      static_cast<void>(::write(counter, &kFull, sizeof kFull));
#endif
      errno = kOwn;
      ::pthread_kill(::pthread_self(), SIGUSR1);
      EXPECT_EQ(errno, kOwn);
      delivered.wait(round);
    }
    base.stop();
  });
  run(base);
  other.join();

  EXPECT_EQ(delivered, kRounds);
}

// Who raises them, and when.

BACKEND_TEST(SignalBurstTest, OfAnotherThreadWakesTheBase) {
  Base base(real_time());
  Signal signal(base, SIGUSR1, recorder.note(1));
  signal.attach();
  for (int i = 0; i < 100; ++i) {
    std::thread other = thread_without_signals([] { raise_for_process(SIGUSR1); });
    EXPECT_EQ(run(base, RunMode::once), 1U);
    other.join();
  }
}

BACKEND_TEST(SignalBurstTest, WakesABaseThatSleepsForLong) {
  Base base(real_time());
  Signal signal(base, SIGUSR1, recorder.note(1));
  signal.attach(1h);
  const auto while_it_sleeps = [loop = this_thread()](auto&& raise) {
    await_sleep_of(loop);
    raise();
  };
  // To the thread that sleeps, and to one that does not run the base.
  std::thread other = thread_without_signals(
      [&, loop = ::pthread_self()] { while_it_sleeps([&] { ::pthread_kill(loop, SIGUSR1); }); });
  EXPECT_EQ(run(base, RunMode::once), 1U);
  other.join();
  other = std::thread([&] { while_it_sleeps([] { ::pthread_kill(::pthread_self(), SIGUSR1); }); });
  EXPECT_EQ(run(base, RunMode::once), 1U);
  other.join();

  EXPECT_EQ(recorder.order, (Order{1, 1}));
}

BACKEND_TEST(SignalBurstTest, OfAnotherProcessWakesTheBase) {
  Base base(real_time());
  int left = 3;
  Signal signal(base, SIGUSR1, [&] {
    if (--left == 0) signal.detach();
  });
  signal.attach();
  while (left > 0 && !HasFailure()) {
    const int before = left;
    const pid_t child = ::fork();
    if (child == 0) {
      ::kill(::getppid(), SIGUSR1);
      ::_exit(0);
    }
    EXPECT_EQ(run(base, RunMode::once), 1U);
    EXPECT_EQ(left, before - 1);
    ::waitpid(child, nullptr, 0);
  }
}

BACKEND_TEST(SignalBurstTest, ThatCameBeforeDispatchIsDelivered) {
  Base base(real_time());
  Signal signal(base, SIGUSR1, [&] {
    recorder.order.push_back(1);
    signal.detach();
  });
  signal.attach();

  ::raise(SIGUSR1);
  EXPECT_EQ(run(base), 1U);

  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(SignalBurstTest, DoesNotEndADispatchThatIsToSleepOn) {
  Base base(watched());
  Signal signal(base, SIGUSR1, recorder.note(1));
  signal.attach();

  ::raise(SIGUSR1);
  EXPECT_EQ(run(base, RunMode::once), 1U);

  EXPECT_TRUE(stays_asleep(base)) << "nothing is left to be looked at";
}

}  // namespace
}  // namespace event_cpp::test
