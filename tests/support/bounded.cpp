// The thread that stops a base which runs too long.
#include "support/bounded.hpp"

#include <gtest/gtest.h>
#include <signal.h>

namespace event_cpp::test {

Bounded::Bounded(Base& base, std::chrono::seconds bound) : base_(base) {
  // The signals of a test are for the thread that runs the base.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  watcher_ = std::thread([this, bound] { watch(bound); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Bounded::~Bounded() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  changed_.notify_one();
  watcher_.join();
  EXPECT_FALSE(expired_) << "the base did not return";
}

void Bounded::watch(std::chrono::seconds bound) {
  std::unique_lock lock(mutex_);
  if (changed_.wait_for(lock, bound, [this] { return done_; })) return;
  expired_ = true;
  base_.stop_now();
}

std::size_t run(Base& base, RunMode mode) {
  const Bounded bounded(base);
  return base.loop(mode);
}

}  // namespace event_cpp::test
