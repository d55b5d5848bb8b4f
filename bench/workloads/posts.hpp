// Functions that another thread gives to the loop.
#pragma once

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

#include "support/clock.hpp"
#include "support/contender.hpp"
#include "support/system.hpp"
#include "support/task_queue.hpp"

namespace bench {

// A loop that another thread posts to, on the second processor. For the round trip it waits each
// time until the loop has run what it posted, and then a little more, so that the loop sleeps.
template <HasPost C, bool kRoundTrip>
class Posts {
 public:
  Posts() {
    if constexpr (requires { loop_.accept_posts(); }) loop_.accept_posts();
    producer_ = std::thread([this] { produce(); });
    producer_.detach();
  }

  Figures run(std::uint64_t operations) {
    left_ = operations;
    const Stopwatch watch;
    asked_.store(operations, std::memory_order_release);
    asked_.notify_one();
    loop_.run();
    Figures figures = watch.per_operation(operations);
    if constexpr (kRoundTrip) {
      while (asked_.load(std::memory_order_acquire) != 0) ::sched_yield();
      std::nth_element(trips_.begin(), trips_.begin() + trips_.size() / 2, trips_.end());
      figures.push_back({"p50", static_cast<double>(trips_[trips_.size() / 2])});
    }
    return figures;
  }

 private:
  static constexpr std::int64_t kPause = 30'000;

  void produce() {
    use_second_processor();
    const Task task{&Posts::posted, this};
    for (;;) {
      asked_.wait(0, std::memory_order_acquire);
      const std::uint64_t count = asked_.load(std::memory_order_acquire);
      trips_.clear();
      for (std::uint64_t i = 0; i < count; ++i) {
        if constexpr (kRoundTrip) {
          make_trip(task, i);
        } else {
          loop_.post(task);
        }
      }
      asked_.store(0, std::memory_order_release);
    }
  }

  void make_trip(const Task& task, std::uint64_t done_before) {
    const std::int64_t began = now();
    while (now() - began < kPause) ::sched_yield();
    const std::int64_t start = now();
    loop_.post(task);
    while (done_.load(std::memory_order_acquire) == done_before) continue;
    trips_.push_back(now() - start);
  }

  static void posted(void* argument) {
    auto* const self = static_cast<Posts*>(argument);
    const bool last = --self->left_ == 0;
    if constexpr (kRoundTrip) {
      const std::uint64_t done = self->done_.load(std::memory_order_relaxed) + 1;
      self->done_.store(done, std::memory_order_release);
    }
    if (last) self->loop_.stop();
  }

  static typename C::Loop make_loop() {
    if constexpr (std::is_constructible_v<typename C::Loop, bool, bool>) {
      return typename C::Loop(false, true);
    } else {
      return typename C::Loop();
    }
  }

  typename C::Loop loop_ = make_loop();
  std::atomic<std::uint64_t> asked_{0};
  std::atomic<std::uint64_t> done_{0};
  std::uint64_t left_ = 0;           // of the loop's thread
  std::vector<std::int64_t> trips_;  // of the producer, until asked_ is zero again
  std::thread producer_;
};

}  // namespace bench
