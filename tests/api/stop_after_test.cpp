// stop_after(): once, for one run.
#include <gtest/gtest.h>

#include <system_error>

#include "support/every_backend.hpp"
#include "support/failing_new.hpp"

namespace event_cpp::test {
namespace {

class StopAfterTest : public EveryBackend {
 protected:
  // How long a run takes on the manual clock.
  Duration run_for(Base& base) {
    const TimePoint before = time.now();
    run(base, RunMode::keep_alive);
    return time.now() - before;
  }
};

BACKEND_TEST(StopAfterTest, IsForgottenWhenItsRunEndsOtherwise) {
  Base base(options());
  base.stop_after(200ms);
  base.post([&] { base.stop(); });
  EXPECT_EQ(run_for(base), 0ms);
  EXPECT_EQ(base.size(), 0U);

  base.stop_after(2s);
  EXPECT_EQ(run_for(base), 2s);
}

BACKEND_TEST(StopAfterTest, IsForgottenWhenAnExceptionEndsItsRun) {
  Base base(options());
  base.stop_after(200ms);
  base.post([] { throw std::runtime_error("ends the run"); });
  EXPECT_THROW(run(base), std::runtime_error);

  base.stop_after(2s);
  EXPECT_EQ(run_for(base), 2s);
}

BACKEND_TEST(StopAfterTest, ReplacesTheOneBefore) {
  Base base(options());
  base.stop_after(200ms);
  base.stop_after(2s);
  EXPECT_EQ(run_for(base), 2s);

  base.stop_after(2s);
  base.stop_after(200ms);
  EXPECT_EQ(run_for(base), 200ms);
}

BACKEND_TEST(StopAfterTest, ReplacesOneThatIsDueInACallback) {
  Base base(options());
  Timer timer(base, [&] { base.stop_after(2s); });
  timer.attach(100ms);
  base.stop_after(100ms);  // active with it
  EXPECT_EQ(run_for(base), 100ms + 2s);
}

BACKEND_TEST(StopAfterTest, CountsForTheRunThatItIsCalledIn) {
  Base base(options());
  base.post([&] { base.stop_after(300ms); });
  EXPECT_EQ(run_for(base), 300ms);
}

BACKEND_TEST(StopAfterTest, AllocatesNothing) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be counted here";
  Base base(options());
  base.stop_after(1s);
  const CountingNew calls;
  for (int i = 0; i < 100; ++i) base.stop_after(1s);
  EXPECT_EQ(calls.count(), 0U);
}

BACKEND_TEST(StopAfterTest, MayBeLeftBehindWhenTheBaseGoes) {
  Base base(options());
  base.stop_after(1s);
}

BACKEND_TEST(StopAfterTest, DoesNotCountAsACallback) {
  Base base(options());
  base.stop_after(1s);
  EXPECT_EQ(run(base), 0U);
  EXPECT_EQ(base.stats().callbacks[1], 0U);
}

}  // namespace
}  // namespace event_cpp::test
