// A signal that its own handler raises again.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <cstdint>

#include "support/clock.hpp"
#include "support/contender.hpp"

namespace bench {

template <HasSignal C>
class Signals {
 public:
  Signals() { signal_.start(); }

  Figures run(std::uint64_t operations) {
    left_ = operations;
    const Stopwatch watch;
    ::kill(::getpid(), SIGUSR1);
    loop_.run();
    return watch.per_operation(operations);
  }

 private:
  struct Came {
    Signals* all;
    void operator()(auto&) const {
      if (--all->left_ == 0) {
        all->loop_.stop();
      } else {
        ::kill(::getpid(), SIGUSR1);
      }
    }
  };

  typename C::Loop loop_;
  typename C::template Signal<Came> signal_{loop_, SIGUSR1, Came{this}};
  std::uint64_t left_ = 0;
};

}  // namespace bench
