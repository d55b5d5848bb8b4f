// Keeps a test from hanging: a base that runs too long is stopped, and the test fails.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>

#include "event/event.hpp"

namespace event_cpp::test {

// While it lives, the base may run for so long. The bound is far beyond what any machine needs: it
// tells "never" from "late", and nothing else.
class Bounded {
 public:
  explicit Bounded(Base& base, std::chrono::seconds bound = std::chrono::seconds(200));
  ~Bounded();
  Bounded(const Bounded&) = delete;
  Bounded& operator=(const Bounded&) = delete;

 private:
  void watch(std::chrono::seconds bound);

  Base& base_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;     // guarded by mutex_
  bool expired_ = false;  // guarded by mutex_
  std::thread watcher_;
};

// base.loop(mode) under a bound.
std::size_t run(Base& base, RunMode mode = RunMode::forever);

}  // namespace event_cpp::test
