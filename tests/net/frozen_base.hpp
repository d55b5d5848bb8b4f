// FrozenBase: what fixtures need whose time stands still.
#pragma once

#include <gtest/gtest.h>

#include <utility>

#include "co/support.hpp"
#include "net/toy_kernel.hpp"

namespace event_cpp::test {

// A base whose time only the test moves, and a kernel that it can be given instead of the system's.
class FrozenBase {
  const Backend backend_;

 protected:
  explicit FrozenBase(Backend backend = Backend::none) : backend_(backend), base(options()) {}

  // Those of the base, for another one.
  Options options() {
    Options chosen;
    chosen.backend = backend_;
    chosen.time = &time;
    return chosen;
  }

  template <class T>
  T run(co::Task<T> task) {
    return run_bounded(base, std::move(task));
  }
  // Runs until `done` says so. Returns whether it did; if not, the test has failed.
  template <class F>
  bool run_until(F done) {
    const Bounded bounded(base);
    const RunMode mode = backend_ == Backend::none ? RunMode::nonblock : RunMode::once;
    bool is_done = done();
    for (int i = 0; !is_done && i < 1'000'000; ++i) {
      base.loop(mode);
      is_done = done();
    }
    EXPECT_TRUE(is_done);
    return is_done;
  }
  // Lets whatever can happen now happen.
  void settle() {
    for (int i = 0; i < 200; ++i) base.loop(RunMode::nonblock);
  }

  ManualTime time{ManualTime::Mode::advance_only};
  ToyKernel kernel;
  Base base;
};

}  // namespace event_cpp::test
