// How late one timer after the other is seen by a loop that does nothing else.
#pragma once

#include <cstdint>
#include <random>

#include "support/clock.hpp"
#include "support/contender.hpp"

namespace bench {

template <HasTimer C>
class Lateness {
 public:
  // In microseconds, below zero if early.
  Figures run(std::uint64_t operations) {
    left_ = operations;
    figures_.clear();
    const Stopwatch watch;
    loop_.refresh();
    start();
    loop_.run();
    figures_.push_back(
        {"cpu", static_cast<double>(watch.cpu()) / 1e3 / static_cast<double>(operations)});
    return figures_;
  }

 private:
  struct Fired {
    Lateness* all;
    void operator()(auto&) const {
      all->figures_.push_back({"late", static_cast<double>(now() - all->due_) / 1e3});
      if (--all->left_ == 0) {
        all->loop_.stop();
      } else {
        all->start();
      }
    }
  };

  void start() {
    const std::int64_t delay = delay_(random_);
    due_ = now() + delay;
    timer_.start(delay);
  }

  std::mt19937_64 random_{42};
  std::uniform_int_distribution<std::int64_t> delay_{200'000, 20 * kMillisecond};
  typename C::Loop loop_{true};
  typename C::template Timer<Fired> timer_{loop_, Fired{this}};
  std::int64_t due_ = 0;
  std::uint64_t left_ = 0;
  Figures figures_;
};

}  // namespace bench
