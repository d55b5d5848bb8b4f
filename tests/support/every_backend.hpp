// The fixture of tests that run once on every backend of this machine:
//   class SubjectTest : public EveryBackend {};
//   BACKEND_TEST(SubjectTest, DoesSomething) { ... }
// As TEST_P and INSTANTIATE_TEST_SUITE_P of GoogleTest do, which take five times as long to
// compile.
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

class EveryBackend : public testing::Test {
 public:
  // Those that the tests run on; a fixture may have another list.
  static std::vector<Backend> backends() { return usable_backends(); }

  // The one that this test runs on.
  static Backend GetParam() noexcept { return current_; }

  // Of BACKEND_TEST: before main().
  template <class Suite>
  static bool add_tests(const char* suite, const char* name, const char* file, int line,
                        testing::Test* (*new_test)()) {
    for (const Backend backend : Suite::backends()) {
      add_test({suite, name, file, line, backend, new_test}, &add_to_suite<Suite>);
    }
    return true;
  }

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

 private:
  struct Registration {
    const char* suite;
    const char* name;
    const char* file;
    int line;
    Backend backend;
    testing::Test* (*new_test)();
  };

  static void add_test(const Registration& test,
                       void (*add)(const Registration&, const char* name));

  // All that depends on the fixture, which GoogleTest wants to be of one type for a suite.
  template <class Suite>
  static void add_to_suite(const Registration& test, const char* name) {
    testing::RegisterTest(test.suite, name, nullptr, nullptr, test.file, test.line,
                          [new_test = test.new_test, backend = test.backend]() -> Suite* {
                            current_ = backend;
                            return static_cast<Suite*>(new_test());
                          });
  }

  static inline Backend current_ = Backend::none;
};

}  // namespace event_cpp::test

#define BACKEND_TEST(Suite, Name)                                           \
  class Suite##_##Name##_Test : public Suite {                              \
   public:                                                                  \
    static testing::Test* new_test() { return new Suite##_##Name##_Test; }  \
                                                                            \
   private:                                                                 \
    void TestBody() override;                                               \
    static const bool added_;                                               \
  };                                                                        \
  const bool Suite##_##Name##_Test::added_ = Suite::add_tests<Suite>(       \
      #Suite, #Name, __FILE__, __LINE__, &Suite##_##Name##_Test::new_test); \
  void Suite##_##Name##_Test::TestBody()
