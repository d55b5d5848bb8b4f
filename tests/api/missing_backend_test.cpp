// Which backend a base gets: by name, from the environment, and where the kernel lacks some.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string>

#include "support/backend_variable.hpp"
#include "support/every_backend.hpp"
#include "support/failing_call.hpp"
#include "support/forked.hpp"
#include "support/seccomp.hpp"

#if EVENT_HAVE_EPOLL
#include <sys/syscall.h>
#endif

namespace event_cpp::test {
namespace {

std::error_code error_of(const Options& options) {
  return thrown_by([&] { const Base base(options); });
}

std::error_code error_of(Backend backend) {
  Options options;
  options.backend = backend;
  return error_of(options);
}

class ChosenBackendTest : public EveryBackend {};

BACKEND_TEST(ChosenBackendTest, IsTheOneAskedForByName) {
  const BackendVariable unset(nullptr);
  EXPECT_EQ(Base(options()).backend(), GetParam());
}

BACKEND_TEST(ChosenBackendTest, IsTheOneInTheEnvironment) {
  const BackendVariable set(to_string(GetParam()).c_str());
  EXPECT_EQ(Base().backend(), GetParam());
}

BACKEND_TEST(ChosenBackendTest, IsTheOneAskedForByNameWhateverTheEnvironmentSays) {
  const BackendVariable other(GetParam() == Backend::poll ? "epoll" : "poll");
  EXPECT_EQ(Base(options()).backend(), GetParam());
}

TEST(BackendVariableTest, TheBestIsTakenIfNothingOrAutomaticIsAskedFor) {
  const Backend best = Base::backends().front();
  for (const char* const value : {static_cast<const char*>(nullptr), "", "automatic"}) {
    const BackendVariable set(value);
    EXPECT_EQ(Base().backend(), best);
  }
}

TEST(BackendVariableTest, ANameThatIsNoneIsAnInvalidArgument) {
  for (const char* const value : {"nonsense", "Poll", " poll", "poll ", "epol", "epolll", "0"}) {
    const BackendVariable set(value);
    EXPECT_EQ(error_of(Options{}), std::errc::invalid_argument) << value;
    EXPECT_EQ(error_of(Backend::poll), std::error_code()) << "it overrides automatic alone";
  }
}

TEST(BackendVariableTest, ABackendThatIsNotInThisBuildIsUnsupported) {
  const std::vector<Backend> usable = Base::backends();
  for (const Backend backend : {Backend::epoll, Backend::kqueue}) {
    if (std::find(usable.begin(), usable.end(), backend) != usable.end()) continue;
    const BackendVariable set(to_string(backend).c_str());
    EXPECT_EQ(error_of(Options{}), Errc::unsupported);
    EXPECT_EQ(error_of(backend), Errc::unsupported);
  }
}

#if EVENT_HAVE_EPOLL

// The others, best first.
std::vector<Backend> without_epoll() {
  std::vector<Backend> others = Base::backends();
  std::erase(others, Backend::epoll);
  return others;
}

TEST(MissingEpollTest, AutomaticTakesTheNext) {
  const BackendVariable unset(nullptr);
  const std::vector<Backend> others = without_epoll();
  for (const int error : {EMFILE, ENFILE, ENOMEM, ENOSYS, EPERM}) {
    const FailingCall failing(Call::epoll_create1, error, 1, kAlways);
    EXPECT_EQ(Base().backend(), others.front());
    EXPECT_EQ(Base::backends(), others);
  }
}

TEST(MissingEpollTest, AskedForInTheEnvironmentItsErrorIsTheSystemsOwn) {
  const BackendVariable set("epoll");
  for (const int error : {EMFILE, ENOSYS, EPERM}) {
    const FailingCall failing(Call::epoll_create1, error, 1, kAlways);
    EXPECT_EQ(error_of(Options{}), system_error(error));
  }
}

// In a child whose kernel refuses a call, as an old kernel or a container does.
class RefusedCallTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (!can_refuse_calls()) {
      GTEST_SKIP() << "this kernel has no filters of system calls";
    }
  }

  template <class Part>
  static void expect_without(std::initializer_list<long> calls, Part&& part) {
    const bool succeeded = succeeds_in_child([&] {
      const BackendVariable unset(nullptr);
      ASSERT_TRUE(refuse_calls(calls, GetParam()));
      part();
    });
    EXPECT_TRUE(succeeded);
  }

  static void expect_exact_timers(Base& base) {
    int fired = 0;
    for (const Duration delay : {Duration(1), Duration(300us), Duration(1700us), Duration(5ms)}) {
      const TimePoint start = steady_now();
      base.after(delay, [&] {
        ++fired;
        EXPECT_GE(steady_now() - start, delay);
      });
      base.dispatch();
    }
    EXPECT_EQ(fired, 4);
  }
};

TEST_P(RefusedCallTest, WithoutEpollABaseRunsOnTheNext) {
  const std::vector<Backend> others = without_epoll();
  expect_without({SYS_epoll_create1}, [&] {
    EXPECT_EQ(Base::backends(), others);
    EXPECT_EQ(error_of(Backend::epoll), system_error(GetParam()));
    Base base;
    EXPECT_EQ(base.backend(), others.front());
    const Pipe pipe = readable_pipe();
    bool fired = false;
    base.once(pipe.reader.get(), Events::read, 0s, [&] { fired = true; });
    base.dispatch();
    EXPECT_TRUE(fired);
    expect_exact_timers(base);
  });
}

TEST_P(RefusedCallTest, WithoutATimerDescriptorTimersAreNeverEarly) {
  expect_without({SYS_timerfd_create}, [] {
    Base base;
    EXPECT_EQ(base.backend(), Backend::epoll);
    const CountingCall waits(Call::epoll_wait);
    expect_exact_timers(base);
    EXPECT_LE(waits.count(), 12U) << "waits are rounded up, and do not spin through the rest";
  });
}

TEST_P(RefusedCallTest, WithATimerDescriptorThatCannotBeSetTimersAreNeverEarly) {
  expect_without({SYS_timerfd_settime}, [] {
    Base base;
    expect_exact_timers(base);
  });
}

TEST_P(RefusedCallTest, WithoutPpollTimersOnPollAreNeverEarly) {
  expect_without({SYS_ppoll}, [] {
    Options options;
    options.backend = Backend::poll;
    Base base(options);
    expect_exact_timers(base);
  });
}

TEST_P(RefusedCallTest, WithoutAnEventDescriptorNoBaseIsMade) {
  expect_without({SYS_eventfd2}, [] {
    EXPECT_EQ(error_of(Backend::automatic), system_error(GetParam()));
    EXPECT_EQ(error_of(Backend::poll), system_error(GetParam()));
  });
}

TEST_P(RefusedCallTest, WhatANewerKernelHasIsNotNeeded) {
#if defined(SYS_epoll_pwait2)
  expect_without({SYS_epoll_pwait2}, [] {
    Base base;
    EXPECT_EQ(base.backend(), Backend::epoll);
    expect_exact_timers(base);
  });
#else
  GTEST_SKIP() << "these headers do not name the call";
#endif
}

INSTANTIATE_TEST_SUITE_P(, RefusedCallTest, testing::Values(ENOSYS, EPERM), [](const auto& error) {
  return error.param == ENOSYS ? std::string("ENOSYS") : std::string("EPERM");
});

#endif

}  // namespace
}  // namespace event_cpp::test
