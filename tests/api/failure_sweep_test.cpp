// Whatever fails, once, at any point of a program: it is reported, and nothing is lost.
#include <cerrno>

#include "support/every_backend.hpp"
#include "support/failing_call.hpp"
#include "support/failing_new.hpp"
#include "support/process.hpp"
#include "support/scenario.hpp"

namespace event_cpp::test {
namespace {

constexpr std::size_t kMoreThanAny = 2000;  // failures at different points

// A scope that can be ended before its time.
template <class Scope, class... Arguments>
class Ended {
 public:
  explicit Ended(Arguments... arguments) : scope_(std::in_place, arguments...) {}

  std::size_t end() {
    if (scope_) failures_ = scope_->failures();
    scope_.reset();
    return failures_;
  }

 private:
  std::optional<Scope> scope_;
  std::size_t failures_ = 0;
};

void expect_nothing_lost(const Scenario& scenario) {
  EXPECT_FALSE(scenario.hung());
  EXPECT_EQ(scenario.counts(), Scenario::expected());
  EXPECT_EQ(scenario.left(), 0U);
}

class FailureSweepTest : public EveryBackend {
 protected:
  // Runs the scenario with the first, the second, the third ... of something failing, until none
  // fails. `make_fault(n)` makes it fail. Returns how many failures were reported.
  template <class MakeFault>
  std::size_t sweep(const Options& options, MakeFault&& make_fault) {
    std::size_t reported = 0;
    for (std::size_t n = 1; n < kMoreThanAny; ++n) {
      SCOPED_TRACE("failure number " + std::to_string(n));
      if (run_once(options, make_fault, n, reported) == 0) return reported;
      if (HasFailure()) return reported;
    }
    ADD_FAILURE() << "there is no end to what fails";
    return reported;
  }

 private:
  template <class MakeFault>
  std::size_t run_once(const Options& options, MakeFault& make_fault, std::size_t n,
                       std::size_t& reported) {
    const std::set<int> before = open_descriptors();
    std::size_t failures = 0;
    {
      Scenario scenario(options);
      auto fault = make_fault(n);
      scenario.run([&] {
        fault.end();
        ++reported;
      });
      failures = fault.end();
      expect_nothing_lost(scenario);
      scenario.finish();
      EXPECT_EQ(scenario.counts()[static_cast<std::size_t>(Counted::never)], 0);
    }
    EXPECT_EQ(open_descriptors(), before);
    return failures;
  }
};

auto call_fault(Call call, int error) {
  return [=](std::size_t n) { return Ended<FailingCall, Call, int, std::size_t>(call, error, n); };
}

BACKEND_TEST(FailureSweepTest, TheProgramComesToItsEndIfNothingFails) {
  struct NoFault {
    static std::size_t end() { return 0; }
  };
  const auto none = [](std::size_t) { return NoFault(); };

  EXPECT_EQ(sweep(options(), none), 0U);
  EXPECT_EQ(sweep(real_time(), none), 0U);
}

BACKEND_TEST(FailureSweepTest, NothingIsLostIfMemoryRunsOutAnywhere) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be replaced here";

  const std::size_t reported =
      sweep(options(), [](std::size_t n) { return Ended<FailingNew, std::size_t>(n - 1); });

  EXPECT_GT(reported, 20U) << "the program was meant to allocate";
}

BACKEND_TEST(FailureSweepTest, NothingIsLostIfTheTimersCannotGrow) {
  const std::size_t reported = sweep(options(), call_fault(Call::realloc, ENOMEM));

  EXPECT_GT(reported, 2U) << "the program was meant to have many timers";
}

BACKEND_TEST(FailureSweepTest, NothingIsLostIfFstatFailsAnywhere) {
  sweep(options(), call_fault(Call::fstat, ENOMEM));
}

BACKEND_TEST(FailureSweepTest, NothingIsLostIfTheWakeUpCannotBeMadeAtFirst) {
  EXPECT_EQ(sweep(options(), call_fault(making_the_wake_up(GetParam()), EMFILE)), 1U);
}

BACKEND_TEST(FailureSweepTest, NothingIsLostIfAPollIsInterrupted) {
  for (const Call call : {Call::poll, Call::ppoll}) {
    EXPECT_EQ(sweep(real_time(), call_fault(call, EINTR)), 0U) << "that is not an error";
  }
}

BACKEND_TEST(FailureSweepTest, NothingIsLostIfAPollFails) {
  for (const Call call : {Call::poll, Call::ppoll}) {
    sweep(real_time(), call_fault(call, ENOMEM));
    sweep(options(), call_fault(call, ENOMEM));
  }
}

#if EVENT_HAVE_EPOLL

BACKEND_TEST(FailureSweepTest, NothingIsLostIfEpollCtlFailsAnywhere) {
  for (const int error : {ENOMEM, ENOSPC}) {
    const std::size_t reported = sweep(options(), call_fault(Call::epoll_ctl, error));
    if (GetParam() == Backend::epoll) {
      EXPECT_GT(reported, 70U);
    }
  }
}

BACKEND_TEST(FailureSweepTest, NothingIsLostIfEpollCannotWatchItsTimer) {
  sweep(real_time(), call_fault(Call::epoll_ctl, ENOSPC));
}

BACKEND_TEST(FailureSweepTest, NothingIsLostIfAnEpollWaitIsInterrupted) {
  EXPECT_EQ(sweep(real_time(), call_fault(Call::epoll_wait, EINTR)), 0U) << "that is not an error";
  EXPECT_EQ(sweep(options(), call_fault(Call::epoll_wait, EINTR)), 0U);
}

BACKEND_TEST(FailureSweepTest, NothingIsLostIfAnEpollWaitFails) {
  sweep(real_time(), call_fault(Call::epoll_wait, ENOMEM));
  sweep(options(), call_fault(Call::epoll_wait, ENOMEM));
}

BACKEND_TEST(FailureSweepTest, NothingIsLostIfEpollIsMissingAtFirst) {
  for (const int error : {EMFILE, ENFILE, ENOMEM, ENOSYS, EPERM}) {
    const std::size_t reported = sweep(options(), call_fault(Call::epoll_create1, error));
    EXPECT_EQ(reported, GetParam() == Backend::epoll ? 1U : 0U);
  }
}

BACKEND_TEST(FailureSweepTest, NothingIsLostIfTheTimerOfEpollFails) {
  for (const int error : {EMFILE, ENFILE, ENOMEM, ENOSYS, EPERM}) {
    EXPECT_EQ(sweep(real_time(), call_fault(Call::timerfd_create, error)), 0U);
  }
  EXPECT_EQ(sweep(real_time(), call_fault(Call::timerfd_settime, ENOMEM)), 0U);
}

#endif

}  // namespace
}  // namespace event_cpp::test
