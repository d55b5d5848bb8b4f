// Bases in the child of a fork.
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <deque>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "support/every_backend.hpp"
#include "support/failing_call.hpp"
#include "support/forked.hpp"
#include "support/process.hpp"
#include "support/signals.hpp"

namespace event_cpp::test {
namespace {

class ForkTest : public EveryBackend {};

BACKEND_TEST(ForkTest, WorksInTheChildOfAForkWithEveryEventItHas) {
  Base base(real_time());
  const Pipe pipe = make_pipe();
  const Sockets sockets = socket_pair();
  Event reader(base, pipe.reader.get(), Events::read | Events::persist, recorder.note(1));
  Event writer(base, sockets.ours.get(), Events::write, recorder.note(2));
  Event timed(base, sockets.ours.get(), Events::read, recorder.note(3));
  Timer timer(base, recorder.note(4));
  Signal signal(base, SIGUSR1, recorder.note(5));
  Alarm alarm(base, recorder.note(6));
  Event active(base, -1, Events::timeout, recorder.note(7));
  Event again(base, sockets.ours.get(), Events::write, [] {});
  again.attach();
  base.loop(RunMode::once);
  reader.attach();
  writer.attach();
  timed.attach(20ms);
  timer.attach(10ms);
  signal.attach();
  alarm.attach(std::chrono::system_clock::now() + 30ms);
  active.activate(Events::timeout);
  base.post(recorder.note(8));

  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    EXPECT_EQ(base.size(), 6U);
    write_bytes(pipe.writer);
    ::raise(SIGUSR1);
    again.attach();
    while (base.size() > 2) {
      base.loop(RunMode::once);
      drain(pipe.reader);
    }
    std::sort(recorder.order.begin(), recorder.order.end());
    EXPECT_EQ(recorder.order, (Order{1, 2, 3, 4, 5, 6, 7, 8}));
  }));
}

BACKEND_TEST(ForkTest, TouchesNothingOfTheParentsInTheChild) {
  Base base(real_time());
  const Pipe pipe = make_pipe();
  std::deque<Event> events;
  for (int i = 0; i < 4; ++i) {
    events.emplace_back(base, pipe.reader.get(), Events::read, recorder.note(i));
    events.back().attach();
  }
  Timer timer(base, recorder.note(4));
  Signal signal(base, SIGUSR1, recorder.note(5));
  signal.attach();
  Alarm alarm(base, recorder.note(6));
  alarm.attach(std::chrono::system_clock::now() + 20ms);
  timer.attach(10ms);
  base.loop(RunMode::nonblock);  // timers of the kernel's are set

  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    events.clear();
    timer.rearm(24h);
    signal.detach();
    alarm.detach();
    Signal other(base, SIGUSR2, [] {});
    other.attach();
    Alarm own(base, [] {});
    own.attach(std::chrono::system_clock::now());
    base.loop(RunMode::once);
    own.attach(std::chrono::system_clock::now() + 24h);
    Timer soon(base, [] {});
    soon.attach(1ms);
    base.post([] {});
    while (soon.attached()) base.loop(RunMode::once);
    soon.attach(24h);
    base.loop(RunMode::nonblock);
    base.stop();
  }));

  write_bytes(pipe.writer);
  ::raise(SIGUSR1);
  while (recorder.order.size() < 7) run(base, RunMode::once);
  std::sort(recorder.order.begin(), recorder.order.end());
  EXPECT_EQ(recorder.order, (Order{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(base.stats().wakeups, 0U);
}

// What a child does that simply ends, its objects destroyed on the way.
BACKEND_TEST(ForkTest, TouchesNothingOfTheParentsInAChildThatOnlyDestroys) {
  auto base = std::make_unique<Base>(real_time());
  const Pipe pipe = make_pipe();
  const Pipe closed = make_pipe();
  std::optional<Event> first;
  std::optional<Event> second;
  std::optional<Signal> signal;
  std::optional<Alarm> alarm;
  first.emplace(*base, pipe.reader.get(), Events::read | Events::persist, recorder.note(1));
  second.emplace(*base, closed.reader.get(), Events::read | Events::persist, recorder.note(2));
  signal.emplace(*base, SIGUSR1, recorder.note(3));
  alarm.emplace(*base, recorder.note(4));
  first->attach();
  second->attach();
  signal->attach();
  alarm->attach(std::chrono::system_clock::now() + 1h);

  for (const int way : {0, 1, 2}) {
    EXPECT_TRUE(succeeds_in_child([&] {
      if (way == 0) base.reset();
      if (way == 1) second->detach();
      first.reset();
      second.reset();
      signal.reset();
      alarm.reset();
      base.reset();
    }));
  }

  write_bytes(pipe.writer);
  write_bytes(closed.writer);
  EXPECT_EQ(base->loop(RunMode::nonblock), 2U);
  if (!sees_blocked(GetParam())) return;
  // Only what the kernel watches for the parent can tell of one that is blocked.
  const Blocked blocked(SIGUSR1);
  ::raise(SIGUSR1);
  for (int i = 0; i < 2; ++i) base->loop(RunMode::nonblock);
  EXPECT_EQ(std::count(recorder.order.begin(), recorder.order.end(), 3), 1);
}

// After it has met a stale registration a base takes registrations back at once.
BACKEND_TEST(ForkTest, TouchesNothingOfTheParentsThoughItTakesBackAtOnce) {
  Base base(options());
  meet_stale_registration(base);
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note(1));
  event.attach();

  EXPECT_TRUE(succeeds_in_child([&] { event.detach(); }));

  write_bytes(pipe.writer);
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
}

BACKEND_TEST(ForkTest, IsTheSameBaseInAParentThatCallsAfterFork) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note(1));
  event.attach();
  const std::set<int> before = open_descriptors();
  const std::uint64_t registrations = base.stats().registrations;

  base.after_fork();

  EXPECT_EQ(base.stats().registrations, registrations);
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_EQ(run(base), 1U);
}

#ifndef NDEBUG

BACKEND_TEST(ForkTest, SaysInADebugBuildThatAfterForkWasForgotten) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, [] {});
  Alarm alarm(base, [] {});
  EXPECT_DEATH(base.loop(RunMode::nonblock | RunMode::keep_alive), "after_fork");
  EXPECT_DEATH(event.attach(), "after_fork");
  EXPECT_DEATH(alarm.attach(time.wall()), "after_fork");
  EXPECT_DEATH(static_cast<void>(base.fd()), "after_fork");
}

#else

BACKEND_TEST(ForkTest, DoesInTheChildWhatAfterForkWouldHaveDoneIfThatWasForgotten) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::persist, recorder.note(1));
  event.attach();

  EXPECT_TRUE(succeeds_in_child([&] {
    write_bytes(pipe.writer);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    event.detach();
    base.loop(RunMode::nonblock | RunMode::keep_alive);
  }));
  EXPECT_TRUE(succeeds_in_child([&] {
    Event other(base, pipe.writer.get(), Events::write, recorder.note(2));
    other.attach();
    EXPECT_EQ(base.loop(RunMode::nonblock), 2U);
  }));

  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
}

#endif

BACKEND_TEST(ForkTest, GoesOnInTheChildOfAForkInACallback) {
  Base base(real_time());
  const Pipe pipe = readable_pipe();
  int status = -1;
  bool in_child = false;
  Event forking(base, pipe.reader.get(), Events::read, [&] {
    const pid_t child = ::fork();
    if (child == 0) {
      ::alarm(30);
      in_child = true;
      base.after_fork();
    } else {
      ::waitpid(child, &status, 0);
    }
  });
  Event next(base, pipe.reader.get(), Events::read, recorder.note(1));
  Timer timer(base, recorder.note(2));
  forking.attach();
  next.attach();
  timer.attach(5ms);
  const std::size_t ran = base.dispatch();
  if (in_child) ::_exit(ran == 3 && recorder.order == Order{1, 2} ? 0 : 1);

  EXPECT_EQ(ran, 3U);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

BACKEND_TEST(ForkTest, LosesOnlyTheEventsWhoseDescriptorTheChildHasClosed) {
  constexpr int kHigh = 500;  // the base must not get the number for a descriptor of its own
  Base base(options());
  Pipe closed = make_pipe();
  closed.reader = move_to(kHigh, std::move(closed.reader));
  const Pipe kept = readable_pipe();
  Event lost(base, closed.reader.get(), Events::read, Never());
  Event other(base, kept.reader.get(), Events::read, recorder.note(1));
  lost.attach();
  other.attach();

  EXPECT_TRUE(succeeds_in_child([&] {
    const int number = closed.reader.get();
    closed.reader.close();
    base.after_fork();
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

    const Fd reused = move_to(number, readable_pipe().reader);
    Event newer(base, number, Events::read, recorder.note(2));
    newer.attach();
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    EXPECT_EQ(recorder.order, (Order{1, 2}));
  }));
}

BACKEND_TEST(ForkTest, KeepsTheOtherEventsOfDescriptorsOfWhichTheChildDetachesOne) {
  Base base(options());
  std::deque<Sockets> sockets;
  std::deque<Event> readers;
  std::deque<Event> writers;
  constexpr std::size_t kMany = 140;  // more than are told to the kernel together
  for (std::size_t i = 0; i < kMany; ++i) {
    sockets.push_back(socket_pair());
    write_bytes(sockets.back().theirs);
    readers.emplace_back(base, sockets.back().ours.get(), Events::read, [] {}).attach();
    writers.emplace_back(base, sockets.back().ours.get(), Events::write, Never()).attach();
  }

  EXPECT_TRUE(succeeds_in_child([&] {
    for (Event& writer : writers) writer.detach();
    base.after_fork();
    EXPECT_EQ(run(base), kMany);
  }));
}

BACKEND_TEST(ForkTest, DestroysABaseInAChildThatWasForkedWhileAnotherThreadStoppedIt) {
  auto base = std::make_unique<Base>(options());
  std::atomic<bool> done = false;
  std::thread stopper([&] {
    while (!done) base->stop();
  });
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(succeeds_in_child([&] { base.reset(); }));
  }
  done = true;
  stopper.join();
}

BACKEND_TEST(ForkTest, LeavesTheParentsWakeUpAloneInAChildThatOnlyDestroysTheBase) {
  auto base = std::make_unique<Base>(real_time());
  base->loop(RunMode::nonblock | RunMode::keep_alive);
  EXPECT_TRUE(succeeds_in_child([&] { base.reset(); }));
  base->loop(RunMode::nonblock | RunMode::keep_alive);

  std::atomic<bool> asleep = false;
  Hook hook(*base, Hook::When::before_wait, [&] { asleep = true; });
  std::thread poster([&] {
    while (!asleep) std::this_thread::yield();
    base->post([&] { recorder.order.push_back(1); });
  });
  const Bounded bounded(*base);
  base->loop(RunMode::once | RunMode::keep_alive);
  poster.join();

  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(ForkTest, LeavesSignalsOfTheChildToTheFormerHandlerUntilAfterFork) {
  const Disposition former(SIGUSR1, &count_stray);
  Base base(options());
  Signal signal(base, SIGUSR1, recorder.note(1));
  signal.attach();
  ::raise(SIGUSR1);  // the parent's
  strays = 0;

  EXPECT_TRUE(succeeds_in_child([&] {
    ::raise(SIGUSR1);
    EXPECT_EQ(strays, 1);
    base.after_fork();
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
    ::raise(SIGUSR1);
    EXPECT_EQ(strays, 1);
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  }));

  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
}

BACKEND_TEST(ForkTest, TakesSignalsThatAreBlockedInTheChild) {
  Base base(options());
  Signal signal(base, SIGUSR1, recorder.note(1));
  signal.attach();

  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
    ::raise(SIGUSR1);
    if (base.loop(RunMode::nonblock) == 0) return;  // a system without signalfd
    EXPECT_EQ(recorder.order, Order{1});
  }));
}

BACKEND_TEST(ForkTest, IsWokenByThreadsOfTheChild) {
  Base base(real_time());
  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    std::atomic<bool> asleep = false;
    const Hook hook(base, Hook::When::before_wait, [&] { asleep = true; });
    std::thread poster([&] {
      while (!asleep) std::this_thread::yield();
      base.post([&] { base.stop(); });
    });
    run(base, RunMode::keep_alive);
    poster.join();
  }));
}

BACKEND_TEST(ForkTest, ShowsAnotherLoopWhatThreadsOfTheChildPost) {
  Base base(options());
  if (base.fd() < 0) GTEST_SKIP() << "this backend has no descriptor";
  const Fd parents(::dup(base.fd()));
  const bool shared = base.backend() != Backend::kqueue;  // a child gets none of those
  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    std::thread([&] { base.post([] {}); }).join();
    pollfd polled{base.fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&polled, 1, 20'000), 1);
    polled.fd = parents.get();
    if (!shared) return;
    EXPECT_EQ(::poll(&polled, 1, 0), 0) << "the parent has nothing to do";
  }));
}

BACKEND_TEST(ForkTest, CanBeForkedAgainAndAgain) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::persist, recorder.note(1));
  event.attach();

  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    EXPECT_TRUE(succeeds_in_child([&] {
      base.after_fork();
      base.after_fork();
      EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
      event.detach();
      base.loop(RunMode::nonblock | RunMode::keep_alive);
    }));
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  }));
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
}

BACKEND_TEST(ForkTest, ReportsAKernelThatRefusesItsSideInTheChildAndTriesAgain) {
  Base base(real_time());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note(1));
  Signal signal(base, SIGUSR1, [] {});
  event.attach();
  signal.attach();
  signal.keep_alive(false);

  for (const Call call : {Call::epoll_create1, Call::epoll_ctl, Call::eventfd, Call::pipe}) {
    for (std::size_t nth = 1; nth < 5; ++nth) {
      EXPECT_TRUE(succeeds_in_child([&] {
        std::error_code error;
        {
          const FailingCall full(call, ENOMEM, nth);
          error = thrown_by([&] { base.after_fork(); });
        }
        EXPECT_TRUE(error == std::error_code() || error == system_error(ENOMEM));
        base.after_fork();
        EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
        EXPECT_EQ(base.size(), 1U);
      }));
    }
  }
}

BACKEND_TEST(ForkTest, LeaksNoDescriptorInTheChild) {
  Base base(real_time());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, [] {});
  Signal signal(base, SIGUSR1, [] {});
  Alarm alarm(base, [] {});
  event.attach();
  signal.attach();
  alarm.attach(std::chrono::system_clock::now() + 1h);
  const int fd = base.fd();

  const std::size_t before = open_descriptors().size();
  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    EXPECT_EQ(open_descriptors().size(), before);
    EXPECT_EQ(base.fd(), fd) << "the number stays";
  }));
}

BACKEND_TEST(ForkTest, LooksAtTheClockOfASourceByItselfInTheChildToo) {
  Base base(options());
  Alarm alarm(base, recorder.note(1));
  alarm.attach(time.wall() + 1h);
  EXPECT_EQ(base.next_timeout(), 1s);

  const std::size_t before = open_descriptors().size();
  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    EXPECT_EQ(open_descriptors().size(), before);
    EXPECT_EQ(base.next_timeout(), 1s);
    EXPECT_EQ(run(base), 1U);
  }));
}

BACKEND_TEST(ForkTest, NeedsNoTimerOfTheKernelsForAlarmsInTheChildEither) {
  Base base(real_time());
  Alarm alarm(base, recorder.note(1));
  alarm.attach(std::chrono::system_clock::now() + 20ms);

  EXPECT_TRUE(succeeds_in_child([&] {
    {
      const FailingCall missing(Call::timerfd_create, ENOSYS, 1, kAlways);
      base.after_fork();
    }
    EXPECT_EQ(run(base), 1U);
  }));
}

BACKEND_TEST(ForkTest, ServesManyDescriptorsInTheChild) {
  Base base(options());
  std::deque<Pipe> pipes;
  std::deque<Event> events;
  for (int i = 0; i < 300; ++i) {
    pipes.push_back(readable_pipe());
    events.emplace_back(base, pipes.back().reader.get(), Events::read, [] {});
    events.back().attach();
  }
  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    EXPECT_EQ(run(base), 300U);
  }));
  EXPECT_EQ(run(base), 300U);
}

BACKEND_TEST(ForkTest, CallsRegularFilesReadyInTheChildToo) {
  Base base(options());
  const Fd file = regular_file();
  Event event(base, file.get(), Events::read, [] {});
  event.attach();
  EXPECT_TRUE(succeeds_in_child([&] {
    base.after_fork();
    EXPECT_EQ(run(base), 1U);
  }));
  EXPECT_EQ(run(base), 1U);
}

BACKEND_TEST(ForkTest, ShowsAnotherLoopOnlyWhatHappensInItsOwnProcess) {
  Base base(options());
  if (base.fd() < 0) GTEST_SKIP() << "this backend has no descriptor";
  EXPECT_TRUE(succeeds_in_child([&] {
    base.post([] {});  // before after_fork()
    base.after_fork();
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    base.post([] {});
    base.stop();
    EXPECT_EQ(base.next_timeout(), Duration::zero());
  }));
  EXPECT_EQ(base.next_timeout(), std::nullopt);
  base.loop(RunMode::nonblock | RunMode::keep_alive);
  EXPECT_EQ(base.stats().wakeups, 0U);
}

}  // namespace
}  // namespace event_cpp::test
