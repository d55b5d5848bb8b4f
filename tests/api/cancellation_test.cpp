// pthread_cancel(3) of threads that are in the library.
#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <thread>

#include "support/every_backend.hpp"

// The C library of Linux unwinds the stack of a cancelled thread; elsewhere only handlers run.
#if defined(__GLIBC__)

namespace event_cpp::test {
namespace {

class CancellationTest : public EveryBackend {};

// A thread that dispatches until it is cancelled.
class CancelledThread {
 public:
  explicit CancelledThread(Base& base) {
    EXPECT_EQ(::pthread_create(&thread_, nullptr, &CancelledThread::run, &base), 0);
  }

  // Returns whether the cancellation ended it.
  bool cancel() {
    EXPECT_EQ(::pthread_cancel(thread_), 0);
    void* result = nullptr;
    EXPECT_EQ(::pthread_join(thread_, &result), 0);
    return result == PTHREAD_CANCELED;
  }

 private:
  static void* run(void* base) {
    static_cast<Base*>(base)->loop(RunMode::keep_alive);
    return nullptr;
  }

  pthread_t thread_{};
};

BACKEND_TEST(CancellationTest, EndsAThreadThatWaitsForEvents) {
  auto base = std::make_unique<Base>(real_time());
  CancelledThread thread(*base);
  EXPECT_TRUE(thread.cancel());
  base.reset();
}

BACKEND_TEST(CancellationTest, EndsAThreadThatWaitsForADeadline) {
  Base base(real_time());
  Timer timer(base, Never());
  timer.attach(1h);
  CancelledThread thread(base);
  EXPECT_TRUE(thread.cancel());
}

BACKEND_TEST(CancellationTest, LeavesABaseThatAnotherThreadCanRun) {
  Base base(real_time());
  std::atomic<bool> ran{false};
  base.post([&] { ran = true; });
  CancelledThread thread(base);
  while (!ran) std::this_thread::yield();
  EXPECT_TRUE(thread.cancel());
  EXPECT_FALSE(base.running());

  std::thread other([&] { base.post([&] { base.stop(); }); });
  run(base, RunMode::keep_alive);
  other.join();
  base.stop_after(20ms);
  const auto waits = base.stats().waits;
  run(base, RunMode::keep_alive);
  EXPECT_LE(base.stats().waits - waits, 10U) << "it does not sleep any more";
}

// What a cancelled thread does in functions that must not throw.
void* use_everything(void* options) {
  const Pipe pipe = make_pipe();       // outlives it all: close(2) is a cancellation point
  ::pthread_cancel(::pthread_self());  // at the next cancellation point
  {
    Base base(*static_cast<const Options*>(options));
    base.post([] {});
    base.stop();
    base.fd();
    base.stop_after(1s);
    Alarm alarm(base, [] {});
    alarm.attach(std::chrono::system_clock::now() + std::chrono::hours(1));
    Signal signal(base, SIGUSR1, Never());
    signal.attach();
    Event event(base, pipe.reader.get(), Events::read, Never());
    event.attach();
  }
  ::pthread_testcancel();
  return nullptr;
}

BACKEND_TEST(CancellationTest, WaitsForACallThatMayNotThrow) {
  Options options = real_time();
  pthread_t thread{};
  ASSERT_EQ(::pthread_create(&thread, nullptr, &use_everything, &options), 0);
  void* result = nullptr;
  ASSERT_EQ(::pthread_join(thread, &result), 0);
  EXPECT_EQ(result, PTHREAD_CANCELED);
}

// A thread that is cancelled between two calls that a Child makes in functions that must not throw.
void* wait_for_child(void* options) {
  bool told = false;
  {
    Base base(*static_cast<const Options*>(options));
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(0);
    Child child(base, pid, [&] { told = true; });
    ::pthread_cancel(::pthread_self());
    child.attach();
    int state = 0;
    ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    Hook hook(base, Hook::When::after_wait,
              [&] { ::pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state); });
    base.dispatch();
  }
  EXPECT_TRUE(told);
  ::pthread_testcancel();
  return nullptr;
}

BACKEND_TEST(CancellationTest, LeavesAChildItsStatus) {
  Options options = real_time();
  pthread_t thread{};
  ASSERT_EQ(::pthread_create(&thread, nullptr, &wait_for_child, &options), 0);
  void* result = nullptr;
  ASSERT_EQ(::pthread_join(thread, &result), 0);
  EXPECT_EQ(result, PTHREAD_CANCELED);
}

BACKEND_TEST(CancellationTest, OfAThreadThatPostsLosesNoWakeUp) {
  Base base(real_time());
  Timer far(base, Never());
  far.attach(1h);
  const auto post = [](void* to) -> void* {
    ::pthread_cancel(::pthread_self());
    auto* const posted_to = static_cast<Base*>(to);
    posted_to->post([posted_to] { posted_to->stop(); });
    ::pthread_testcancel();
    return nullptr;
  };
  pthread_t thread{};
  Hook hook(base, Hook::When::before_wait, [&, posted = false]() mutable {
    if (std::exchange(posted, true)) return;
    ASSERT_EQ(::pthread_create(&thread, nullptr, post, &base), 0);
  });
  run(base);
  ::pthread_join(thread, nullptr);  // it may still use the base
}

}  // namespace
}  // namespace event_cpp::test

#endif
