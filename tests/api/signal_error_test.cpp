// Signals that cannot be attached.
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <deque>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/every_backend.hpp"
#include "support/failing_call.hpp"
#include "support/failing_new.hpp"
#include "support/forked.hpp"
#include "support/process.hpp"
#include "support/seccomp.hpp"
#include "support/signals.hpp"

#if EVENT_HAVE_EPOLL
#include <sys/syscall.h>
#endif

namespace event_cpp::test {
namespace {

class SignalErrorTest : public Signals {};

BACKEND_TEST(SignalErrorTest, NamesANumberThatIsNoSignal) {
  const std::set<int> before = open_descriptors();
  {
    Base base(options());
    const TimePoint start = time.now();
    for (const int signo :
         {SIGKILL, SIGSTOP, 0, -1, -2, 65, 100, 128, 129, 1000, INT_MAX, INT_MIN}) {
      SCOPED_TRACE(signo);
      Signal signal(base, signo, Never());
      for (const Duration timeout : {Duration(0s), Duration(1s), Duration(1h)}) {
        EXPECT_EQ(signal.try_attach(timeout), system_error(EINVAL));
        EXPECT_FALSE(signal.attached());
        EXPECT_EQ(signal.deadline(), std::nullopt);
        EXPECT_EQ(signal.signo(), signo);
      }
      try {
        signal.attach();
        ADD_FAILURE() << "nothing was thrown";
      } catch (const std::system_error& error) {
        EXPECT_EQ(error.code(), system_error(EINVAL));
        EXPECT_NE(std::string(error.what()).find("signal " + std::to_string(signo)),
                  std::string::npos)
            << error.what();
      }
    }
    EXPECT_EQ(base.size(), 0U);
    EXPECT_EQ(run(base), 0U);
    EXPECT_EQ(time.now(), start) << "no timer is left";

    Signal signal(base, SIGUSR1, recorder.note(1));
    signal.attach();
    ::raise(SIGUSR1);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  }
  EXPECT_EQ(open_descriptors(), before);
}

// The number -1 is also how an event without a descriptor looks.
BACKEND_TEST(SignalErrorTest, TellsANumberThatIsNoSignalFromOneWithATimeout) {
  Base base(options());
  std::vector<Action> before;
  for (int signo = 1; signo < 65; ++signo) before.push_back(action_of(signo));
  std::deque<Timer> timers;
  for (int i = 0; i < 70; ++i) {
    timers.emplace_back(base, Never()).attach(1h);
    Signal signal(base, -1, Never());
    EXPECT_EQ(signal.try_attach(1s), system_error(EINVAL)) << "after " << i + 1 << " timers";
  }
  for (int signo = 1; signo < 65; ++signo) {
    EXPECT_EQ(action_of(signo), before[static_cast<std::size_t>(signo) - 1]);
  }
}

BACKEND_TEST(SignalErrorTest, RefusesASignalTogetherWithADescriptor) {
  Base base(options());
  const Action before = action_of(SIGUSR1);
  for (const Events what : {Events::read, Events::write, Events::closed, Events::urgent,
                            Events::read | Events::persist}) {
    Event event(base, SIGUSR1, Events::signal | what, Never());
    EXPECT_EQ(event.try_attach(), Errc::unsupported);
    EXPECT_EQ(event.try_attach(1s), Errc::unsupported);
    EXPECT_FALSE(event.attached());
  }

  EXPECT_EQ(action_of(SIGUSR1), before);
  EXPECT_EQ(base.size(), 0U);
}

BACKEND_TEST(SignalErrorTest, RefusesToAttachTwice) {
  Base base(options());
  Signal signal(base, SIGUSR1, recorder.note(1));
  signal.attach();

  EXPECT_EQ(signal.try_attach(), Errc::already_attached);
  EXPECT_EQ(thrown_by([&] { signal.attach(1s); }), Errc::already_attached);
  EXPECT_EQ(base.size(), 1U);
  ::raise(SIGUSR1);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  const Action ours = action_of(SIGUSR1);
  EXPECT_TRUE(signal.detach());
  EXPECT_FALSE(signal.detach());
  EXPECT_NE(action_of(SIGUSR1), ours) << "it counted once";
}

#if EVENT_HAVE_EPOLL

class BlockedSignalErrorTest : public BlockedSignals {};

BACKEND_TEST(BlockedSignalErrorTest, IsThrownIfNoDescriptorIsLeft) {
  const Blocked blocked(SIGUSR1);
  for (const int error : {EMFILE, ENFILE, ENOMEM}) {
    Base base(options());
    Signal signal(base, SIGUSR1, recorder.note(1));
    const Action before = action_of(SIGUSR1);
    const std::set<int> descriptors = open_descriptors();
    const TimePoint start = time.now();
    {
      const FailingCall failing(Call::signalfd, error);
      EXPECT_EQ(signal.try_attach(1s), system_error(error));
    }
    EXPECT_FALSE(signal.attached());
    EXPECT_EQ(signal.deadline(), std::nullopt);
    EXPECT_EQ(base.size(), 0U);
    EXPECT_EQ(action_of(SIGUSR1), before);
    EXPECT_EQ(open_descriptors(), descriptors);
    EXPECT_EQ(run(base), 0U);
    EXPECT_EQ(time.now(), start) << "no timer is left";

    recorder.order.clear();
    signal.attach();
    raise_for_process(SIGUSR1);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    EXPECT_EQ(recorder.order, Order{1});
  }
}

BACKEND_TEST(BlockedSignalErrorTest, IsThrownIfTheKernelHasNoRoomForADescriptor) {
  const Blocked blocked(SIGUSR1);
  const Call attaching = attaching_on(GetParam());
  for (const int error : {ENOMEM, ENOSPC}) {
    Base base(options());
    Signal signal(base, SIGUSR1, recorder.note(1));
    const Action before = action_of(SIGUSR1);
    const std::set<int> descriptors = open_descriptors();
    {
      const FailingCall failing(attaching, error);
      EXPECT_EQ(signal.try_attach(), system_error(error));
    }
    EXPECT_FALSE(signal.attached());
    EXPECT_EQ(action_of(SIGUSR1), before);
    EXPECT_EQ(open_descriptors(), descriptors);

    signal.attach();
    raise_for_process(SIGUSR1);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  }
}

BACKEND_TEST(BlockedSignalErrorTest, IsAvoidedByAHandlerWhereTheKernelRefuses) {
  for (const int error : {ENOSYS, EPERM, EINVAL, ENODEV}) {
    Base base(real_time());
    Signal signal(base, SIGUSR1, recorder.note(1));
    const Blocked blocked(SIGUSR1);
    const FailingCall failing(Call::signalfd, error, 1, kAlways);
    signal.attach();
    EXPECT_GE(failing.failures(), 1U);
    std::thread other([] { raise_unblocked(SIGUSR1); });
    EXPECT_EQ(run(base, RunMode::once), 1U);
    other.join();
  }
}

BACKEND_TEST(BlockedSignalErrorTest, IsAvoidedByAHandlerWhereAFilterRefuses) {
  if (!can_refuse_calls()) {
    GTEST_SKIP() << "this kernel has no filters of system calls";
  }
  for (const int error : {ENOSYS, EPERM}) {
    EXPECT_TRUE(succeeds_in_child([&] {
      ASSERT_TRUE(refuse_calls({SYS_signalfd4}, error));
      Base base(real_time());
      Signal signal(base, SIGUSR1, recorder.note(1));
      const Blocked blocked(SIGUSR1);
      signal.attach();
      std::thread other([] { raise_unblocked(SIGUSR1); });
      EXPECT_EQ(run(base, RunMode::once), 1U);
      other.join();
    }));
  }
}

#endif

BACKEND_TEST(SignalErrorTest, LeavesASignalToBeAttachedOnceThereIsMemory) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  const Action before = action_of(SIGUSR1);
  for (std::size_t n = 0; n < 100; ++n) {
    SCOPED_TRACE("after allocation " + std::to_string(n));
    Base base(options());
    Signal signal(base, SIGUSR1, recorder.note(1));
    std::size_t failures = 0;
    std::error_code error;
    {
      const FailingNew failing(n);
      error = signal.try_attach(1s);
      failures = failing.failures();
    }
    if (failures > 0) {
      EXPECT_EQ(error, system_error(ENOMEM));
      EXPECT_FALSE(signal.attached());
      EXPECT_EQ(action_of(SIGUSR1), before);
      EXPECT_EQ(base.size(), 0U);
      EXPECT_EQ(signal.try_attach(1s), std::error_code());
    }
    ::raise(SIGUSR1);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    if (failures == 0 || HasFailure()) return;
  }
  FAIL() << "there is no end to what fails";
}

BACKEND_TEST(SignalErrorTest, LosesNoSignalIfMemoryRunsOutOnItsWay) {
  constexpr std::size_t kWatches = 200;  // more than a queue has room for at first
  Base base(options());
  std::vector<int> fired(kWatches);
  std::deque<Signal> signals;
  for (std::size_t i = 0; i < kWatches; ++i) {
    signals.emplace_back(base, i % 2 == 0 ? SIGUSR1 : SIGUSR2, [&fired, i] { ++fired[i]; });
    signals.back().attach();
  }
  ::raise(SIGUSR1);
  ::raise(SIGUSR2);
  {
    const FailingCall failing(Call::realloc, ENOMEM);
    base.loop(RunMode::nonblock);
    EXPECT_EQ(failing.failures(), 1U);
  }
  base.loop(RunMode::nonblock);

  for (const int each : fired) EXPECT_GE(each, 1);
  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
}

}  // namespace
}  // namespace event_cpp::test
