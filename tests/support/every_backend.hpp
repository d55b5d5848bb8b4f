// The fixture of tests that run once on every backend of this machine:
//   class SubjectTest : public EveryBackend {};
//   ON_EVERY_BACKEND(SubjectTest);
//   TEST_P(SubjectTest, DoesSomething) { ... }
#pragma once

#include <gtest/gtest.h>

#include <chrono>

#include "event/event.hpp"
#include "support/bounded.hpp"
#include "support/clocks.hpp"
#include "support/descriptors.hpp"
#include "support/errors.hpp"
#include "support/printing.hpp"
#include "support/recorder.hpp"
#include "support/usable_backends.hpp"

namespace event_cpp::test {

using namespace std::chrono_literals;

inline constexpr Events kReadPersist = Events::read | Events::persist;

class EveryBackend : public testing::TestWithParam<Backend> {
 protected:
  // On `time`, which only the test and the base move. What most tests use.
  Options options() {
    Options chosen;
    chosen.backend = GetParam();
    chosen.time = &time;
    return chosen;
  }

  // On another time.
  Options on(TimeSource& source) {
    Options chosen = options();
    chosen.time = &source;
    return chosen;
  }

  // On the monotonic clock.
  Options real_time() {
    Options chosen = options();
    chosen.time = nullptr;
    return chosen;
  }

  // On the monotonic clock, such that stays_asleep() can tell.
  Options watched() { return on(clock); }

  // Runs a base made with watched() for a while. True if it woke a few times at most: a loop that
  // spins wakes thousands of times.
  bool stays_asleep(Base& base, Duration window = 50ms);

  // Has the base meet the registration of a closed descriptor that a duplicate keeps alive, so that
  // it repairs the kernel's set.
  static void meet_stale_registration(Base& base);

  ManualTime time;
  CountingClock clock;
  Recorder recorder;
};

}  // namespace event_cpp::test

#define ON_EVERY_BACKEND(Suite)                                           \
  INSTANTIATE_TEST_SUITE_P(, Suite, testing::ValuesIn(usable_backends()), \
                           [](const auto& chosen) { return to_string(chosen.param); })
