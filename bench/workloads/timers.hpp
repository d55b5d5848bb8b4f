// Timers: many of them are added, pushed back, cancelled, and fire.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "support/clock.hpp"
#include "support/contender.hpp"
#include "support/pinned.hpp"

namespace bench {

// A delay for each timer, drawn from the range. Each delay is drawn once for `shared` timers that
// are next to each other, as if a server had set these in one iteration.
inline std::vector<std::int64_t> draw_delays(std::mt19937_64& random, std::size_t count,
                                             std::size_t shared, std::int64_t least,
                                             std::int64_t most) {
  std::uniform_int_distribution<std::int64_t> delay(least, most);
  std::vector<std::int64_t> delays;
  while (delays.size() < count) {
    const std::size_t left = count - delays.size();
    delays.insert(delays.end(), std::min(shared, left), delay(random));
  }
  return delays;
}

// A cycle adds all timers, with deadlines of 5 to 60 seconds, pushes each back by a minute in
// random order, and cancels them in another.
template <HasTimer C>
class Timers {
 public:
  Timers(std::size_t count, std::size_t shared)
      : timers_(count),
        delays_(draw_delays(random_, count, shared, 5 * kSecond, kMinute)),
        order_(count),
        other_order_(count) {
    for (std::size_t i = 0; i < count; ++i) timers_.add(loop_, Fired{this});
    std::iota(order_.begin(), order_.end(), 0U);
    other_order_ = order_;
    std::shuffle(order_.begin(), order_.end(), random_);
    std::shuffle(other_order_.begin(), other_order_.end(), random_);
  }

  Figures run(std::uint64_t operations) {
    const auto count = static_cast<double>(timers_.size());
    const std::uint64_t cycles = std::max<std::uint64_t>(1, operations / timers_.size());
    std::int64_t add = 0;
    std::int64_t later = 0;
    std::int64_t cancel = 0;
    for (std::uint64_t i = 0; i < cycles; ++i) {
      loop_.refresh();
      add += add_all();
      later += push_all_back();
      cancel += cancel_all();
    }
    const double all = static_cast<double>(cycles) * count;
    return {{"ops", all},
            {"add", static_cast<double>(add) / all},
            {"later", static_cast<double>(later) / all},
            {"cancel", static_cast<double>(cancel) / all}};
  }

 private:
  static constexpr std::int64_t kMinute = 60 * kSecond;

  struct Fired {
    Timers* all;
    void operator()(auto&) const { idle_timeout_came(); }
  };

  // These three have names of their own for those who count instructions.
  [[gnu::noinline]] std::int64_t add_all() {
    const std::int64_t start = now();
    for (std::size_t i = 0; i < timers_.size(); ++i) timers_[i].start(delays_[i]);
    return now() - start;
  }
  [[gnu::noinline]] std::int64_t push_all_back() {
    const std::int64_t start = now();
    for (const std::uint32_t i : order_) timers_[i].later(delays_[i] + kMinute);
    loop_.settle();
    return now() - start;
  }
  [[gnu::noinline]] std::int64_t cancel_all() {
    const std::int64_t start = now();
    for (const std::uint32_t i : other_order_) timers_[i].cancel();
    loop_.settle();
    return now() - start;
  }

  std::mt19937_64 random_{42};
  typename C::Loop loop_;
  Pinned<typename C::template Timer<Fired>> timers_;
  std::vector<std::int64_t> delays_;
  std::vector<std::uint32_t> order_;
  std::vector<std::uint32_t> other_order_;
};

// A cycle adds all timers, sleeps until all are due, and then runs the loop until all have fired.
template <HasTimer C>
class Firing {
 public:
  Firing(std::size_t count, std::size_t shared)
      : timers_(count),
        delays_(draw_delays(random_, count, shared, kMillisecond, 3 * kMillisecond)) {
    for (std::size_t i = 0; i < count; ++i) timers_.add(loop_, Fired{this});
  }

  Figures run(std::uint64_t operations) {
    const std::uint64_t cycles = std::max<std::uint64_t>(1, operations / timers_.size());
    std::int64_t took = 0;
    for (std::uint64_t i = 0; i < cycles; ++i) {
      loop_.refresh();
      for (std::size_t t = 0; t < timers_.size(); ++t) timers_[t].start(delays_[t]);
      // Longer than the coarsest clock of a contender takes to notice.
      const timespec pause{0, 10 * kMillisecond};
      ::nanosleep(&pause, nullptr);
      took += fire_all();
    }
    const auto all = static_cast<double>(cycles) * static_cast<double>(timers_.size());
    return {{"ops", all}, {"fire", static_cast<double>(took) / all}};
  }

 private:
  struct Fired {
    Firing* all;
    void operator()(auto&) const {
      if (--all->left_ == 0) all->loop_.stop();
    }
  };

  [[gnu::noinline]] std::int64_t fire_all() {
    left_ = timers_.size();
    const std::int64_t start = now();
    loop_.run();
    return now() - start;
  }

  std::mt19937_64 random_{42};
  typename C::Loop loop_;
  Pinned<typename C::template Timer<Fired>> timers_;
  std::vector<std::int64_t> delays_;
  std::size_t left_ = 0;
};

}  // namespace bench
