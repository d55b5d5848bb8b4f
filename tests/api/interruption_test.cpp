// Signals that interrupt the loop, and what a signal handler may call.
#include <signal.h>
#include <sys/time.h>

#include <atomic>
#include <thread>

#include "support/every_backend.hpp"

namespace event_cpp::test {
namespace {

class InterruptionTest : public EveryBackend {};

// Runs a handler for a signal while it lives.
class Handler {
 public:
  Handler(int number, void (*function)(int)) : number_(number) {
    struct sigaction action {};
    action.sa_handler = function;  // without SA_RESTART: every wait is interrupted
    ::sigaction(number_, &action, &before_);
  }
  ~Handler() { ::sigaction(number_, &before_, nullptr); }
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;

 private:
  int number_;
  struct sigaction before_ {};
};

std::atomic<int> interruptions = 0;

// Interrupts this thread each millisecond.
class Interruptions {
 public:
  Interruptions() : handler_(SIGALRM, [](int) { ++interruptions; }) {
    interruptions = 0;
    set(1000);
  }
  ~Interruptions() { set(0); }

 private:
  static void set(suseconds_t microseconds) {
    const itimerval each{{0, microseconds}, {0, microseconds}};
    ::setitimer(ITIMER_REAL, &each, nullptr);
  }

  Handler handler_;
};

BACKEND_TEST(InterruptionTest, IsNotEndedEarlyBySignalsWhileItWaitsForATimer) {
  Base base(real_time());
  Timer timer(base, recorder.note(1));
  const Interruptions storm;
  const TimePoint start = steady_now();

  timer.attach(100ms);
  EXPECT_EQ(run(base, RunMode::once), 1U);

  EXPECT_GE(steady_now() - start, 100ms);
  EXPECT_GT(interruptions, 0);
}

BACKEND_TEST(InterruptionTest, IsNotEndedEarlyBySignalsWhileItWaitsForADescriptor) {
  Base base(real_time());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note_fired());
  event.attach();
  interruptions = 0;  // `peer` looks at it
  sigset_t alarm, before;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &alarm, &before);
  std::thread peer([&] {
    while (interruptions < 20) std::this_thread::yield();  // they come first
    write_bytes(pipe.writer);
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  const Interruptions storm;

  EXPECT_EQ(run(base, RunMode::once), 1U);
  peer.join();

  EXPECT_EQ(recorder.fired, Fired{Events::read});
}

BACKEND_TEST(InterruptionTest, TakesAnInterruptionForNoErrorWithNonblock) {
  Base base(real_time());
  Ticker ticker(base, recorder.note(1));
  ticker.attach(1h);
  const Interruptions storm;

  while (interruptions < 20) EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
}

std::atomic<Base*> base_to_stop = nullptr;

BACKEND_TEST(InterruptionTest, StopsFromASignalHandlerInACallback) {
  Base base(options());
  base_to_stop = &base;
  const Handler handler(SIGUSR1, [](int) { base_to_stop.load()->stop(); });
  Ticker ticker(base, [&] {
    recorder.order.push_back(1);
    ::raise(SIGUSR1);
  });

  ticker.attach(1s);
  EXPECT_EQ(run(base), 1U);
}

BACKEND_TEST(InterruptionTest, StopsFromASignalHandlerThatInterruptsTheWait) {
  Base base(real_time());
  base_to_stop = &base;
  const Handler handler(SIGUSR1, [](int) { base_to_stop.load()->stop_now(); });
  Timer timer(base, Never());
  timer.attach(1h);
  const pthread_t self = ::pthread_self();
  std::atomic<bool> returned = false;
  std::thread other([&] {
    while (!returned) {
      ::pthread_kill(self, SIGUSR1);
      std::this_thread::sleep_for(5ms);  // between attempts: the wait may not have begun
    }
  });

  EXPECT_EQ(run(base), 0U);

  returned = true;
  other.join();
}

BACKEND_TEST(InterruptionTest, LeavesSignalsAsTheyAre) {
  sigset_t mask_before, mask_after;
  struct sigaction pipe_before {
  }, pipe_after{};
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask_before);
  ::sigaction(SIGPIPE, nullptr, &pipe_before);

  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note(1));
  event.attach(1s);
  base.post([] {});
  run(base);

  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask_after);
  ::sigaction(SIGPIPE, nullptr, &pipe_after);
  EXPECT_EQ(pipe_after.sa_handler, pipe_before.sa_handler);
  for (int number = 1; number < 32; ++number) {
    EXPECT_EQ(sigismember(&mask_after, number), sigismember(&mask_before, number));
  }
}

}  // namespace
}  // namespace event_cpp::test
