// System calls that fail: the error is reported by the call that met it, and the base goes on.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <utility>

#include "support/every_backend.hpp"
#include "support/failing_call.hpp"
#include "support/process.hpp"

namespace event_cpp::test {
namespace {

class FailingCallTest : public EveryBackend {
 protected:
  // How attach() can fail here: the call that it makes for a descriptor.
  Call attaching() const { return attaching_on(GetParam()); }
  // The call that a base on real time sleeps in until a deadline.
  Call waiting() const {
    if (GetParam() == Backend::epoll) return Call::epoll_wait;
    if (GetParam() == Backend::kqueue) return Call::kevent;
    return EVENT_HAVE_PPOLL ? Call::ppoll : Call::poll;
  }
};

// The base is asleep, and not merely late, by the time that so much has passed.
constexpr Duration kLongEnough = 20ms;

BACKEND_TEST(FailingCallTest, AttachReportsTheErrorAndChangesNothing) {
  for (const int error : {ENOMEM, ENOSPC}) {
    Base base(options());
    const Pipe pipe = make_pipe();
    Event event(base, pipe.reader.get(), Events::read, Never());
    const TimePoint start = time.now();
    {
      const FailingCall failing(attaching(), error);
      EXPECT_EQ(event.try_attach(1s), system_error(error));
    }
    write_bytes(pipe.writer);

    EXPECT_FALSE(event.attached());
    EXPECT_EQ(event.deadline(), std::nullopt);
    EXPECT_EQ(base.size(), 0U);
    EXPECT_EQ(run(base), 0U);
    EXPECT_EQ(time.now(), start) << "no timer is left";
  }
}

BACKEND_TEST(FailingCallTest, AnAttachThatFailedThrowsTheSystemsOwnCode) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note(1));
  {
    const FailingCall failing(attaching(), ENOSPC);
    EXPECT_EQ(thrown_by([&] { event.attach(1s); }), system_error(ENOSPC));
  }

  event.attach();
  run(base);

  EXPECT_EQ(recorder.order, (Order{1}));
}

BACKEND_TEST(FailingCallTest, AnAttachThatFailedLeavesOthersOnTheDescriptorAlone) {
  Base base(options());
  const Sockets pair = socket_pair();
  write_bytes(pair.theirs);
  Event reader(base, pair.ours.get(), Events::read | Events::persist, recorder.note(1));
  Event writer(base, pair.ours.get(), Events::write, recorder.note(2));
  reader.attach();
  {
    const FailingCall failing(attaching(), ENOSPC);
    EXPECT_EQ(writer.try_attach(1s), system_error(ENOSPC));
  }

  EXPECT_EQ(base.size(), 1U);
  base.loop(RunMode::nonblock);
  EXPECT_EQ(recorder.order, (Order{1}));
  writer.attach(1s);
  base.loop(RunMode::nonblock);
  EXPECT_EQ(recorder.order, (Order{1, 1, 2}));
}

// A debug build asks the kernel whether it is still the same file, and gets no answer.
BACKEND_TEST(FailingCallTest, AttachingAgainBeforeTheNextWaitNeedsNothingOfTheKernel) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note(1));
  event.attach();
  base.loop(RunMode::nonblock);
  {
    const FailingCall failing(attaching(), ENOMEM, 1, kAlways);
    EXPECT_EQ(event.try_attach(), std::error_code());
  }
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.order, (Order{1, 1}));
}

BACKEND_TEST(FailingCallTest, AOneShotThatFiredIsAttachedAgainAfterAFailedAttach) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note(1));
  event.attach();
  base.loop(RunMode::nonblock);
  base.loop(RunMode::nonblock);  // reports what nobody wants
  Event other(base, pipe.reader.get(), Events::read | Events::closed, recorder.note(2));
  {
    const FailingCall failing(attaching(), ENOMEM);
    EXPECT_EQ(other.try_attach(), system_error(ENOMEM));
  }

  event.attach();
  other.attach();
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.order, (Order{1, 1, 2}));
}

BACKEND_TEST(FailingCallTest, AfterAndOnceReportTheErrorAndLeaveNothingBehind) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  {
    const FailingCall failing(Call::realloc, ENOMEM);
    EXPECT_EQ(thrown_by([&] { base.after(1s, Never()); }), system_error(ENOMEM));
  }
  {
    const FailingCall failing(attaching(), ENOSPC);
    EXPECT_EQ(thrown_by([&] { base.once(pipe.reader.get(), Events::read, 1s, Never()); }),
              system_error(ENOSPC));
  }

  EXPECT_EQ(base.size(), 0U);
  EXPECT_EQ(run(base), 0U);
}

BACKEND_TEST(FailingCallTest, AWaitThatFailsIsReportedByDispatchAndTheNextOneGoesOn) {
  Base base(real_time());
  const Bounded bounded(base);
  Timer timer(base, recorder.note(1));
  timer.attach(1h);
  {
    const FailingCall failing(waiting(), ENOMEM);
    EXPECT_EQ(thrown_by([&] { base.dispatch(); }), system_error(ENOMEM));
  }
  EXPECT_FALSE(base.running());

  timer.rearm(Duration::zero());
  base.dispatch();

  EXPECT_EQ(recorder.order, (Order{1}));
}

BACKEND_TEST(FailingCallTest, AWaitThatFailsLosesNoPost) {
  Base base(real_time());
  Timer bound(base, [&] { base.stop(); });
  bound.attach(10s);
  {
    const FailingCall failing(waiting(), ENOMEM);
    EXPECT_EQ(thrown_by([&] { base.dispatch(); }), system_error(ENOMEM));
  }
  std::thread poster([&] {
    base.post([&] {
      recorder.order.push_back(1);
      bound.detach();
    });
  });

  base.dispatch();
  poster.join();

  EXPECT_EQ(recorder.order, (Order{1}));
}

BACKEND_TEST(FailingCallTest, AWaitThatFailsDoesNotWatchTheNextFileOnTheNumber) {
  Base base(real_time());
  Sockets old = socket_pair();
  Sockets fresh = socket_pair();
  Event event(base, old.ours.get(), kReadPersist, Never());
  event.attach();
  Timer timer(base, Never());
  timer.attach(1h);
  {
    const FailingCall failing(waiting(), ENOMEM, 1, kAlways);
    EXPECT_EQ(thrown_by([&] { base.dispatch(); }), system_error(ENOMEM));
  }

  const int number = old.ours.get();
  old.ours.close();
  const Fd taken = move_to(number, std::move(fresh.ours));
  write_bytes(fresh.theirs);

  EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
}

BACKEND_TEST(FailingCallTest, AWaitThatFailsIsMadeUpForWithAllThatItWasToTell) {
  Base base(real_time());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note(1));
  Timer timer(base, Never());
  timer.attach(1h);
  event.attach();
  {
    const FailingCall failing(waiting(), ENOMEM, 1, kAlways);
    EXPECT_EQ(thrown_by([&] { base.dispatch(); }), system_error(ENOMEM));
  }
  write_bytes(pipe.writer);

  EXPECT_EQ(base.loop(RunMode::once), 1U);

  EXPECT_EQ(recorder.order, (Order{1}));
}

BACKEND_TEST(FailingCallTest, AnInterruptedWaitDoesNotEndOnceEarly) {
  Base base(real_time());
  const Bounded bounded(base);
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note(1));
  event.attach(1h);
  const FailingCall failing(waiting(), EINTR, 1, 3);

  EXPECT_EQ(base.loop(RunMode::once), 1U);

  EXPECT_EQ(failing.failures(), 3U);
  EXPECT_EQ(recorder.order, (Order{1}));
}

BACKEND_TEST(FailingCallTest, ABaseWithoutAWakeUpIsNotMade) {
  for (const int error : {EMFILE, ENFILE, ENOMEM, ENOSYS}) {
    const std::set<int> before = open_descriptors();
    const FailingCall failing(making_the_wake_up(GetParam()), error);

    EXPECT_EQ(thrown_by([&] { const Base base(options()); }), system_error(error));

    EXPECT_EQ(open_descriptors(), before);
  }
}

BACKEND_TEST(FailingCallTest, ABaseThatCannotWatchItsWakeUpIsNotMade) {
  const std::set<int> before = open_descriptors();
  const FailingCall failing(attaching(), ENOSPC, 1, kAlways);

  EXPECT_EQ(thrown_by([&] { const Base base(options()); }), system_error(ENOSPC));

  EXPECT_EQ(open_descriptors(), before);
}

#if EVENT_HAVE_EPOLL

bool has_epoll() { return usable_backends().front() == Backend::epoll; }

// A number that stays the same while it is written to without a reader: one more would overflow.
constexpr std::uint64_t kFullCounter = ~std::uint64_t{0} - 1;

BACKEND_TEST(FailingCallTest, AFullWakeUpCounterStillWakesAndNeverBlocks) {
  constexpr int kRounds = 200;
  const std::set<int> before = open_descriptors();
  Base base(real_time());
  const int counter = new_descriptor(before, "eventfd");
  ASSERT_GE(counter, 0);
  std::atomic<int> ran = 0;

  std::thread poster([&] {
    for (int round = 0; round < kRounds; ++round) {
      static_cast<void>(::write(counter, &kFullCounter, sizeof kFullCounter));  // full: so it is
      base.post([&ran] {
        ++ran;
        ran.notify_one();
      });
      ran.wait(round);
    }
    static_cast<void>(::write(counter, &kFullCounter, sizeof kFullCounter));
    base.stop();
  });
  run(base, RunMode::keep_alive);
  poster.join();

  EXPECT_EQ(ran, kRounds);
}

class FailingEpollTest : public FailingCallTest {
 public:
  static std::vector<Backend> backends() {
    return has_epoll() ? std::vector{Backend::epoll} : std::vector<Backend>{};
  }
};

// A number with nothing behind it is still registered: a duplicate keeps it alive.
class StaleRegistration {
 public:
  explicit StaleRegistration(Base& base) : copy_(duplicate(pipe_.reader)) {
    Event event(base, pipe_.reader.get(), Events::read, Never());
    event.attach();
    pipe_.reader.close();
    event.detach();
    write_bytes(pipe_.writer);
  }

 private:
  Pipe pipe_ = make_pipe();
  Fd copy_;
};

BACKEND_TEST(FailingEpollTest, EveryDescriptorOfABaseIsCloseOnExec) {
  const std::set<int> before = open_descriptors();
  Base base(real_time());
  const StaleRegistration stale(base);
  const Bounded bounded(base);
  base.after(kLongEnough, [] {});
  base.dispatch();

  for (const char* const kind : {"eventpoll", "eventfd", "timerfd"}) {
    const int fd = new_descriptor(before, kind);
    ASSERT_GE(fd, 0) << kind;
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << kind;
  }
}

BACKEND_TEST(FailingEpollTest, AClosedKernelSetIsAnErrorAndNoBusyLoop) {
  const std::set<int> before = open_descriptors();
  Base base(real_time());
  Ticker ticker(base, [] {});
  ticker.attach(1h);
  const int set = new_descriptor(before, "eventpoll");
  ASSERT_GE(set, 0);
  ::close(set);

  for (const RunMode mode :
       {RunMode::forever, RunMode::once, RunMode::nonblock, RunMode::keep_alive}) {
    EXPECT_EQ(thrown_by([&] { run(base, mode); }), system_error(EBADF));
  }
}

BACKEND_TEST(FailingEpollTest, TimersNeedNoTimerDescriptor) {
  for (const Call missing : {Call::timerfd_create, Call::timerfd_settime, Call::epoll_ctl}) {
    // epoll_ctl fails once: for the timer's descriptor, which is the first.
    const FailingCall failing(missing, EMFILE, 1, missing == Call::epoll_ctl ? 1 : kAlways);
    Base base(real_time());
    const Bounded bounded(base);
    Timer timer(base, recorder.note(1));
    const Duration delay = kLongEnough + 300us;  // not a whole number of milliseconds
    const TimePoint start = steady_now();
    timer.attach(delay);
    const CountingCall waits(Call::epoll_wait);

    EXPECT_EQ(base.dispatch(), 1U);

    EXPECT_GE(steady_now() - start, delay);
    EXPECT_LE(waits.count(), 3U) << "waits are rounded up, and do not spin through the rest";
    EXPECT_GE(failing.failures(), 1U);
  }
}

BACKEND_TEST(FailingEpollTest, TheTimerDescriptorIsSetOnlyForEarlierDeadlines) {
  Base base(real_time());
  Pipe pipe = make_pipe();
  int left = 50;
  Event busy(base, pipe.reader.get(), Events::read | Events::persist, [&] {
    if (--left == 0) return busy.detach();
    return true;
  });
  busy.attach(1h);  // moves later each time
  write_bytes(pipe.writer);
  const CountingCall sets(Call::timerfd_settime);

  run(base);

  EXPECT_LE(sets.count(), 1U);
}

BACKEND_TEST(FailingEpollTest, AskedForByNameItsErrorIsTheSystemsOwn) {
  for (const int error : {EMFILE, ENOSYS, EPERM}) {
    const FailingCall failing(Call::epoll_create1, error);
    EXPECT_EQ(thrown_by([&] { const Base base(options()); }), system_error(error));
  }
}

BACKEND_TEST(FailingEpollTest, ARepairThatFailsIsReportedAndMadeLater) {
  Base base(watched());
  const Pipe healthy = readable_pipe();
  Event event(base, healthy.reader.get(), Events::read | Events::persist, [&] {
    drain(healthy.reader);
    recorder.order.push_back(1);
  });
  event.attach();
  const StaleRegistration stale(base);
  {
    const FailingCall failing(Call::epoll_create1, EMFILE);
    EXPECT_EQ(thrown_by([&] {
                for (int i = 0; i < 10; ++i) base.loop(RunMode::nonblock);
              }),
              system_error(EMFILE));
  }
  for (int i = 0; i < 10; ++i) base.loop(RunMode::nonblock);
  recorder.order.clear();
  write_bytes(healthy.writer);
  base.loop(RunMode::nonblock);

  EXPECT_EQ(recorder.order, (Order{1}));
  EXPECT_TRUE(stays_asleep(base));
}

BACKEND_TEST(FailingEpollTest, ARepairThatFailsHalfwayLosesNothing) {
  for (std::size_t n = 1; n < 100; ++n) {
    SCOPED_TRACE("failure number " + std::to_string(n));
    recorder.order.clear();
    Base base(real_time());
    const std::array<Pipe, 3> pipes{make_pipe(), make_pipe(), make_pipe()};
    const auto note = [&](Event& event, Events fired) {
      if (any(fired & Events::read)) recorder.order.push_back(event.fd());
    };
    Event first(base, pipes[0].reader.get(), Events::read, note);
    Event second(base, pipes[1].reader.get(), Events::read, note);
    Event third(base, pipes[2].reader.get(), Events::read, note);
    for (Event* const event : {&first, &second, &third}) event->attach(1h);
    const StaleRegistration stale(base);

    const FailingCall failing(Call::epoll_ctl, ENOMEM, n);
    for (int i = 0; i < 5; ++i) {
      const std::error_code error = thrown_by([&] { base.loop(RunMode::nonblock); });
      EXPECT_TRUE(!error || error == system_error(ENOMEM)) << error;
    }
    for (const Pipe& pipe : pipes) write_bytes(pipe.writer);
    run(base);

    EXPECT_EQ(recorder.order.size(), 3U);
    if (failing.failures() == 0 || HasFailure()) return;
  }
  FAIL() << "there is no end to what fails";
}

BACKEND_TEST(FailingEpollTest, ARepairThatFailsHalfwayKeepsTheWakeUp) {
  for (std::size_t n = 1; n < 100; ++n) {
    SCOPED_TRACE("failure number " + std::to_string(n));
    Base base(real_time());
    const StaleRegistration stale(base);
    bool woken = false;
    Timer bound(base, [&] { base.stop(); });
    bound.attach(20s);
    std::size_t failures = 0;
    {
      const FailingCall failing(Call::epoll_ctl, ENOMEM, n);
      for (int i = 0; i < 5; ++i) thrown_by([&] { base.loop(RunMode::nonblock); });
      failures = failing.failures();
    }
    std::thread poster([&, loop = this_thread()] {
      await_sleep_of(loop);
      base.post([&] { woken = bound.detach(); });
    });
    base.dispatch();
    poster.join();

    EXPECT_TRUE(woken);
    if (failures == 0 || HasFailure()) return;
  }
  FAIL() << "there is no end to what fails";
}

#endif

}  // namespace
}  // namespace event_cpp::test
