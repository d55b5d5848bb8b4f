// Signals that threads have blocked.
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <deque>
#include <optional>
#include <thread>

#include "support/every_backend.hpp"
#include "support/process.hpp"
#include "support/signals.hpp"

namespace event_cpp::test {
namespace {

class BlockedSignalTest : public BlockedSignals {};

BACKEND_TEST(BlockedSignalTest, IsDeliveredAlthoughEveryThreadBlocksIt) {
  const Blocked blocked;
  Base base(real_time());
  Signal signal(base, SIGUSR1, recorder.note_fired());
  signal.attach();

  for (int i = 0; i < 3; ++i) {
    std::thread other([] { raise_for_process(SIGUSR1); });
    EXPECT_EQ(run(base, RunMode::once), 1U);
    other.join();
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U) << "it has come once";
  }

  EXPECT_EQ(recorder.fired, (Fired{Events::signal, Events::signal, Events::signal}));
}

BACKEND_TEST(BlockedSignalTest, IsDeliveredIfItWasBlockedAfterTheAttach) {
  Base base(real_time());
  Signal first(base, SIGUSR1, recorder.note(1));
  Signal second(base, SIGUSR2, recorder.note(2));
  first.attach();
  second.attach();
  for (int round = 0; round < 3; ++round) {
    const std::set<int> before = open_descriptors();
    for (const int signo : {SIGUSR1, SIGUSR2}) {
      const Blocked blocked(signo);
      std::thread other([=] { raise_for_process(signo); });
      EXPECT_EQ(run(base, RunMode::once), 1U);
      other.join();
    }
    ::raise(SIGUSR2);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    EXPECT_EQ(open_descriptors(), before) << "none is needed any more";
  }
  EXPECT_EQ(recorder.order, (Order{1, 2, 2, 1, 2, 2, 1, 2, 2}));
}

BACKEND_TEST(BlockedSignalTest, IsDeliveredIfACallbackBlocksIt) {
  std::optional<Blocked> blocked;
  Base base(real_time());
  int left = 3;
  Signal signal(base, SIGUSR1, [&] {
    if (--left == 0) return base.stop();
    raise_for_process(SIGUSR1);
  });
  Timer timer(base, [&] {
    blocked.emplace();
    raise_for_process(SIGUSR1);
  });
  signal.attach();
  timer.attach(1ms);

  run(base);

  EXPECT_EQ(left, 0);
}

BACKEND_TEST(BlockedSignalTest, IsDeliveredIfACallbackBlocksAndUnblocksIt) {
  Base base(options());
  Signal signal(base, SIGUSR1, recorder.note(1));
  Timer timer(base, [&] {
    const Blocked blocked(SIGUSR1);
    raise_for_process(SIGUSR1);
  });
  signal.attach();
  timer.attach(1ms);

  EXPECT_EQ(run(base, RunMode::once), 1U);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U) << "it has come once";

  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(BlockedSignalTest, IsDeliveredInWhicheverThreadRunsTheBase) {
  Base base(real_time());
  Signal signal(base, SIGUSR1, recorder.note(1));
  signal.attach();
  const Blocked blocked;
  std::thread other([&] {
    raise_for_process(SIGUSR1);
    EXPECT_EQ(run(base, RunMode::once), 1U);
  });
  other.join();
  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(BlockedSignalTest, IsDeliveredByOneLookWithoutBlocking) {
  const Blocked blocked(SIGUSR1);
  Base base(options());
  Signal signal(base, SIGUSR1, recorder.note(1));
  signal.attach();

  for (int i = 0; i < 3; ++i) {
    raise_for_process(SIGUSR1);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  }

  EXPECT_EQ(recorder.order, (Order{1, 1, 1}));
}

BACKEND_TEST(BlockedSignalTest, IsDeliveredIfItCameBeforeTheAttach) {
  const Blocked blocked(SIGUSR1);
  Base base(options());
  Signal other(base, SIGUSR2, Never());
  Signal signal(base, SIGUSR1, recorder.note(1));
  other.attach();

  raise_for_process(SIGUSR1);
  signal.attach();
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(BlockedSignalTest, IsDeliveredToEveryBaseAndEvent) {
  const Blocked blocked(SIGUSR1);
  std::deque<Base> bases;
  std::deque<Signal> signals;
  for (int i = 0; i < 3; ++i) {
    bases.emplace_back(options());
    signals.emplace_back(bases.back(), SIGUSR1, recorder.note(2 * i)).attach();
    signals.emplace_back(bases.back(), SIGUSR1, recorder.note(2 * i + 1)).attach();
  }

  raise_for_process(SIGUSR1);
  for (Base& base : bases) EXPECT_EQ(base.loop(RunMode::nonblock), 2U);
  for (Base& base : bases) EXPECT_EQ(base.loop(RunMode::nonblock), 0U);

  EXPECT_EQ(recorder.order, (Order{0, 1, 2, 3, 4, 5}));
}

BACKEND_TEST(BlockedSignalTest, IsDeliveredIfOthersArePendingToo) {
  const Blocked blocked;
  Base base(options());
  Signal first(base, SIGUSR1, recorder.note(1));
  Signal second(base, SIGUSR2, recorder.note(2), Priority::high);
  Signal third(base, lowest_own_signal(), recorder.note(3), Priority::low);
  for (Signal* const signal : {&first, &second, &third}) signal->attach();

  for (const int signo : {SIGUSR1, SIGUSR2, lowest_own_signal(), lowest_own_signal()})
    raise_for_process(signo);
  EXPECT_EQ(base.loop(RunMode::nonblock), 3U);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U) << "what was pending several times has become one";

  EXPECT_EQ(recorder.order, (Order{2, 1, 3}));
}

BACKEND_TEST(BlockedSignalTest, IsLeftPendingAndDisturbsNothingWithoutAnEvent) {
  const Blocked blocked(SIGUSR1);
  Base base(watched());
  Signal signal(base, SIGUSR1, Never());
  Signal other(base, SIGUSR2, recorder.note(2));
  signal.attach();
  other.attach();

  raise_for_process(SIGUSR1);
  signal.detach();
  EXPECT_TRUE(stays_asleep(base));

  sigset_t pending;
  ::sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGUSR1), 1);
  ::raise(SIGUSR2);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
}

BACKEND_TEST(BlockedSignalTest, IsDeliveredOnceIfTheLoopsThreadAloneBlocksIt) {
  Base base(real_time());
  std::atomic<int> callbacks = 0;
  Signal signal(base, SIGUSR1, [&] { ++callbacks; });
  signal.attach();
  std::atomic<bool> done = false;
  std::thread other([&] {  // it has them unblocked
    while (!done) std::this_thread::yield();
  });
  {
    const Blocked blocked(SIGUSR1);
    for (int round = 1; round <= 200; ++round) {
      std::thread raising([] { raise_for_process(SIGUSR1); });
      EXPECT_EQ(run(base, RunMode::once), 1U);
      raising.join();
      EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
      ASSERT_EQ(callbacks, round) << "either way is open to it, and it takes one of them";
    }
  }
  done = true;
  other.join();
  EXPECT_EQ(strays, 0);
}

BACKEND_TEST(BlockedSignalTest, IsDeliveredThroughAHandlerOfAnotherThread) {
  const Blocked blocked(SIGUSR1);
  Base base(real_time());
  Signal signal(base, SIGUSR1, recorder.note(1));
  signal.attach();
  for (int i = 0; i < 50; ++i) {
    std::thread other([] { raise_unblocked(SIGUSR1); });
    EXPECT_EQ(run(base, RunMode::once), 1U);
    other.join();
  }
}

BACKEND_TEST(BlockedSignalTest, LeavesTheMasksOfThreadsAlone) {
  sigset_t before, after;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
  {
    Base base(options());
    Signal signal(base, SIGUSR1, recorder.note(1));
    signal.attach();
    ::raise(SIGUSR1);
    run(base, RunMode::once);
    ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
    for (int n = 1; n < 65; ++n) EXPECT_EQ(sigismember(&after, n), sigismember(&before, n)) << n;
  }
  ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int n = 1; n < 65; ++n) EXPECT_EQ(sigismember(&after, n), sigismember(&before, n)) << n;
}

}  // namespace
}  // namespace event_cpp::test
