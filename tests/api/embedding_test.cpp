// A base that runs inside another loop.
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <optional>
#include <string>
#include <thread>

#include "support/every_backend.hpp"
#include "support/failing_call.hpp"
#include "support/process.hpp"
#include "sys/timer_fd.hpp"

namespace event_cpp::test {
namespace {

class EmbeddingTest : public EveryBackend {};

bool is_readable(int fd, int milliseconds = 0) {
  pollfd polled{fd, POLLIN, 0};
  return ::poll(&polled, 1, milliseconds) == 1 && (polled.revents & POLLIN) != 0;
}

// Whether the system has a descriptor for the clocks that other things than time move.
bool has_clock_timer() { return detail::TimerFd().open(detail::TimerFd::Of::wall) == 0; }

constexpr int kGenerous = 20'000;  // milliseconds, for what must happen

class EmbeddedBaseTest : public EveryBackend {
 protected:
  void SetUp() override {
    Base base(options());
    if (base.fd() < 0) GTEST_SKIP() << "this backend has no descriptor";
  }
};

BACKEND_TEST(EmbeddingTest, HasADescriptorToWaitForUnlessItIsPoll) {
  Base base(options());
  EXPECT_EQ(base.fd() >= 0, base.backend() != Backend::poll);
  EXPECT_EQ(base.fd(), base.fd());
}

BACKEND_TEST(EmbeddedBaseTest, IsReadableWhileADescriptorIsReady) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::persist, [&] {
    recorder.order.push_back(1);
    drain(pipe.reader);
  });
  event.attach();
  const int fd = base.fd();
  EXPECT_FALSE(is_readable(fd));

  write_bytes(pipe.writer);
  EXPECT_TRUE(is_readable(fd));
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_FALSE(is_readable(fd));
}

BACKEND_TEST(EmbeddedBaseTest, IsReadableAfterAPostOrAStopOfAnotherThread) {
  Base base(options());
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read, Never());
  event.attach();
  const int fd = base.fd();
  for (int round = 0; round < 3; ++round) {
    EXPECT_FALSE(is_readable(fd));
    std::thread([&] { base.post(recorder.note(1)); }).join();
    EXPECT_TRUE(is_readable(fd, kGenerous));
    EXPECT_EQ(base.next_timeout(), Duration::zero());
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
    EXPECT_FALSE(is_readable(fd));

    std::thread([&] { base.stop(); }).join();
    EXPECT_TRUE(is_readable(fd, kGenerous));
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U) << "it does not look after a stop";
    EXPECT_EQ(base.loop(RunMode::nonblock), 0U);
  }
}

BACKEND_TEST(EmbeddedBaseTest, IsReadableForWhatWasPostedBeforeItWasAskedFor) {
  Base base(options());
  base.post(recorder.note(1));
  const int fd = base.fd();
  EXPECT_TRUE(is_readable(fd));
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_FALSE(is_readable(fd));
}

BACKEND_TEST(EmbeddedBaseTest, IsReadableForWhatACallbackPosts) {
  Base base(options());
  const int fd = base.fd();
  base.post([&] { base.post(recorder.note(1)); });
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_TRUE(is_readable(fd));
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(EmbeddedBaseTest, IsReadableWhileSomethingIsLeftActive) {
  Base base(options());
  const int fd = base.fd();
  for (int i = 0; i < 3; ++i) base.post([&] { base.stop_now(); });
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(is_readable(fd)) << i;
    EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  }
  base.loop(RunMode::nonblock);
  EXPECT_FALSE(is_readable(fd));
}

BACKEND_TEST(EmbeddedBaseTest, IsReadableAfterASignal) {
  Base base(options());
  Signal signal(base, SIGUSR1, recorder.note(1));
  signal.attach();
  const int fd = base.fd();
  EXPECT_FALSE(is_readable(fd));

  ::raise(SIGUSR1);
  EXPECT_TRUE(is_readable(fd));
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);

  EXPECT_FALSE(is_readable(fd));
}

BACKEND_TEST(EmbeddedBaseTest, IsReadableWhenAnAlarmOfTheRealClockIsDue) {
  if (!has_clock_timer()) GTEST_SKIP() << "next_timeout() tells of it";
  Base base(real_time());
  Alarm alarm(base, recorder.note(1));
  Timer first(base, [] {});
  const int fd = base.fd();
  first.attach();
  alarm.attach(std::chrono::system_clock::now() + 10ms);
  EXPECT_GE(base.loop(RunMode::nonblock), 1U);

  while (recorder.order.empty()) {  // on a machine that stood still it has fired already
    ASSERT_TRUE(is_readable(fd, kGenerous));
    base.loop(RunMode::nonblock);
  }
  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(EmbeddedBaseTest, IsNotReadableForWhatNobodyWantsAnyMore) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note(1));
  Event other(base, pipe.reader.get(), Events::read | Events::persist,
              [&](Event& self, Events) { self.detach(); });
  event.attach();
  other.attach();
  const int fd = base.fd();
  EXPECT_EQ(base.loop(RunMode::nonblock), 2U);

  EXPECT_FALSE(is_readable(fd));
}

BACKEND_TEST(EmbeddedBaseTest, StaysReadableThroughARepairOfTheKernelsSet) {
  Base base(real_time());
  const int fd = base.fd();
  const Pipe pipe = make_pipe();
  Event event(base, pipe.reader.get(), Events::read | Events::persist, recorder.note(1));
  event.attach();

  meet_stale_registration(base);
  EXPECT_EQ(base.fd(), fd);
  EXPECT_FALSE(is_readable(fd)) << "the stale registration is gone";
  write_bytes(pipe.writer);

  EXPECT_TRUE(is_readable(fd));
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
}

// The child has the descriptors of the loop open, and so keeps the set that a repair replaces.
BACKEND_TEST(EmbeddedBaseTest, IsNotReadableForASetThatOnlyAChildStillHas) {
  Base base(real_time());
  const int fd = base.fd();
  Pipe closed = make_pipe();
  const Fd kept_alive = duplicate(closed.reader);
  Event old(base, closed.reader.get(), Events::read | Events::persist, Never());
  old.attach();
  const Pipe end = make_pipe();
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    static_cast<void>(::fcntl(end.reader.get(), F_SETFL, 0));
    ::_exit(::read(end.reader.get(), &byte, 1) == 1 ? 0 : 1);
  }

  closed.reader.close();
  old.detach();
  write_bytes(closed.writer);
  for (int i = 0; i < 5; ++i) base.loop(RunMode::nonblock);
  EXPECT_FALSE(is_readable(fd));

  write_bytes(end.writer);
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
}

BACKEND_TEST(EmbeddingTest, TellsHowLongAnotherLoopMaySleep) {
  Base base(options());
  EXPECT_EQ(base.next_timeout(), std::nullopt);
  const Pipe pipe = make_pipe();
  Event quiet(base, pipe.reader.get(), Events::read, Never());
  quiet.attach();
  EXPECT_EQ(base.next_timeout(), std::nullopt);

  Timer timer(base, [] {});
  timer.attach(10s);
  EXPECT_EQ(base.next_timeout(), 10s);
  time.advance(4s);
  EXPECT_EQ(base.next_timeout(), 6s);
  time.advance(7s);
  EXPECT_EQ(base.next_timeout(), 0s);
  timer.detach();
  EXPECT_EQ(base.next_timeout(), std::nullopt);

  Alarm alarm(base, [] {});
  alarm.attach(time.wall() + 1h);
  EXPECT_EQ(base.next_timeout(), 1s) << "the clock may be set meanwhile";
  time.set_wall(time.wall() + 1h - 10ms);
  EXPECT_EQ(base.next_timeout(), 10ms);
  time.set_wall(time.wall() + 2min);
  EXPECT_EQ(base.next_timeout(), 0s);
}

BACKEND_TEST(EmbeddingTest, LetsNoOtherLoopSleepWhileARegularFileIsWatched) {
  Base base(options());
  const Fd file = regular_file();
  Event event(base, file.get(), Events::read, recorder.note(1));
  event.attach();
  if (base.backend() == Backend::epoll) {
    EXPECT_EQ(base.next_timeout(), Duration::zero());
  }
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U);
  event.detach();
  base.loop(RunMode::nonblock);
  EXPECT_EQ(base.next_timeout(), std::nullopt);
}

BACKEND_TEST(EmbeddedBaseTest, IsReadableWhenATimerOnBoottimeIsDue) {
  if (!has_clock_timer()) GTEST_SKIP() << "this build has no such clock";
  Options on_boottime = real_time();
  on_boottime.clock = Clock::boottime;
  Base base(on_boottime);
  Timer timer(base, recorder.note(1));
  const int fd = base.fd();
  timer.attach(10ms);
  base.loop(RunMode::nonblock);

  while (timer.attached()) {  // on a machine that stood still it has fired already
    ASSERT_TRUE(is_readable(fd, kGenerous));
    base.loop(RunMode::nonblock);
  }
  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(EmbeddingTest, LetsNoOtherLoopSleepWhileSomethingIsToBeRun) {
  Base base(options());
  Event event(base, -1, Events::timeout, [] {});

  event.activate(Events::timeout);
  EXPECT_EQ(base.next_timeout(), Duration::zero());
  base.loop(RunMode::nonblock);
  EXPECT_EQ(base.next_timeout(), std::nullopt);

  base.post([&] {
    event.activate(Events::timeout);
    base.stop_now();
  });
  EXPECT_EQ(base.next_timeout(), Duration::zero());
  base.loop(RunMode::nonblock);
  EXPECT_EQ(base.next_timeout(), Duration::zero()) << "it was left active";
  base.loop(RunMode::nonblock);

  {
    const Hook idle(base, Hook::When::idle, [] {});
    EXPECT_EQ(base.next_timeout(), Duration::zero());
  }
  EXPECT_EQ(base.next_timeout(), std::nullopt);
  base.stop();
  EXPECT_EQ(base.next_timeout(), Duration::zero());
}

BACKEND_TEST(EmbeddingTest, CountsTheSlackIntoWhatAnotherLoopMaySleep) {
  Options slack = options();
  slack.slack = 5ms;
  Base base(slack);
  Timer timer(base, [] {});
  timer.attach(10ms);
  EXPECT_EQ(base.next_timeout(), 15ms);
}

BACKEND_TEST(EmbeddedBaseTest, IsNotReadableForLongWithoutAnythingThatKeepsItAlive) {
  Base base(options());
  const Pipe pipe = readable_pipe();
  Event event(base, pipe.reader.get(), Events::read, recorder.note(1));
  const int fd = base.fd();
  std::thread([&] { base.stop(); }).join();
  for (int i = 0; i < 2; ++i) base.loop(RunMode::nonblock);
  EXPECT_FALSE(is_readable(fd));

  event.keep_alive(false);
  event.attach();
  EXPECT_TRUE(is_readable(fd));
  EXPECT_EQ(base.loop(RunMode::nonblock), 1U) << "it looks, though dispatch() would have returned";
  base.loop(RunMode::nonblock);
  EXPECT_FALSE(is_readable(fd));
}

BACKEND_TEST(EmbeddedBaseTest, RunsInsideAnotherBase) {
  Base outer(real_time());
  Base inner(real_time());
  const Pipe pipe = make_pipe();
  int ticks = 0;
  Event in_inner(inner, pipe.reader.get(), Events::read, recorder.note(1));
  Ticker ticker(inner, [&](Event& self, Events) {
    if (++ticks == 3) write_bytes(pipe.writer);
    if (ticks == 5) self.detach();
  });
  in_inner.attach();
  ticker.attach(1ms);

  const auto run_inner = [&] { inner.loop(RunMode::nonblock); };
  Event ready(outer, inner.fd(), Events::read | Events::persist, run_inner);
  Timer due(outer, run_inner);
  ready.attach();
  Hook hook(outer, Hook::When::before_wait, [&] {
    due.detach();
    if (const auto left = inner.next_timeout()) due.attach(*left);
    if (inner.size() == 0) outer.stop();
  });
  run(outer);

  EXPECT_EQ(ticks, 5);
  EXPECT_EQ(recorder.order, Order{1});
}

BACKEND_TEST(EmbeddedBaseTest, WakesALoopThatWaitsForItForSoManyPosts) {
  Base outer(real_time());
  Base inner(real_time());
  constexpr int kPosts = 1000;
  int ran = 0;
  Event ready(outer, inner.fd(), Events::read | Events::persist,
              [&] { inner.loop(RunMode::nonblock); });
  ready.attach();
  std::thread poster([&] {
    for (int i = 0; i < kPosts; ++i) {
      inner.post([&] {
        if (++ran == kPosts) outer.stop();
      });
    }
  });
  run(outer);
  poster.join();

  EXPECT_EQ(ran, kPosts);
}

BACKEND_TEST(EmbeddedBaseTest, LeavesNoDescriptorOpen) {
  const std::set<int> before = open_descriptors();
  {
    Base base(options());
    EXPECT_GE(base.fd(), 0);
  }
  EXPECT_EQ(open_descriptors(), before);
}

BACKEND_TEST(EmbeddedBaseTest, HasNoDescriptorWhenNoneIsLeftAndOneLater) {
  if (GetParam() == Backend::kqueue) GTEST_SKIP() << "what it shows is there already";
  Base base(options());
  {
    const FailingCall full(Call::epoll_create1, EMFILE);
    EXPECT_EQ(base.fd(), -1);
  }
  EXPECT_GE(base.fd(), 0);
}

}  // namespace
}  // namespace event_cpp::test
