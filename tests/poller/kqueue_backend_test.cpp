// What the kqueue backend tells the kernel, and how often; each test is of a trap of kqueue's.
#include <gtest/gtest.h>

#if EVENT_HAVE_KQUEUE

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <deque>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "poller/poller.hpp"
#include "support/children.hpp"
#include "support/every_backend.hpp"
#include "support/failing_call.hpp"
#include "support/forked.hpp"
#include "support/signals.hpp"

namespace event_cpp::test {
namespace {

using detail::ReadyBatch;
using detail::ReadyEvent;
using detail::Source;

void take_pending(int signo) {
  sigset_t one;
  ::sigemptyset(&one);
  ::sigaddset(&one, signo);
  int taken = 0;
  ::sigwait(&one, &taken);
}

class KqueueBackendTest : public testing::Test {
 protected:
  KqueueBackendTest()
      : kqueue(detail::make_poller(Backend::kqueue)), batch(kqueue->traits().kernel_entry) {}

  int add(int fd, Events wanted) { return kqueue->add(fd, 1, wanted); }
  int modify(int fd, Events wanted) { return kqueue->modify(fd, 1, wanted, false); }
  int remove(int fd) { return kqueue->remove(fd); }

  // What one look reports.
  std::vector<ReadyEvent> look() {
    EXPECT_EQ(kqueue->wait(TimePoint::max(), false, batch), 0);
    return take_batch();
  }
  std::vector<ReadyEvent> take_batch() {
    std::vector<ReadyEvent> reports;
    for (detail::ReadyBatch::Taking report(batch); !report.at_end(); ++report) {
      reports.push_back(*report);
    }
    return reports;
  }

  // What somebody sees who waits for its descriptor.
  bool is_readable() {
    pollfd polled{kqueue->fd(), POLLIN, 0};
    return ::poll(&polled, 1, 0) == 1;
  }

  static Options options() {
    Options chosen;
    chosen.backend = Backend::kqueue;
    return chosen;
  }

  std::unique_ptr<detail::Poller> kqueue;
  ReadyBatch batch;
};

TEST_F(KqueueBackendTest, ReportsABadDescriptorToWhoAddsItAndServesOthers) {
  std::deque<Pipe> pipes;
  for (int i = 0; i < 200; ++i) {
    pipes.push_back(readable_pipe());
    const int number = pipes.back().reader.get();
    const bool bad = i % 4 == 0;
    if (bad) pipes.back().reader.close();
    EXPECT_EQ(add(number, Events::read), bad ? EBADF : 0);
    if (bad) pipes.back() = Pipe{};
  }
  std::size_t reported = 0;
  for (int i = 0; i < 5; ++i) reported = std::max(reported, look().size());

  EXPECT_EQ(reported, 150U);
}

TEST_F(KqueueBackendTest, HasRoomForAnErrorOfEveryChangeThatItPutOff) {
  std::deque<Pipe> pipes;
  const Pipe healthy = readable_pipe();
  for (int i = 0; i < 500; ++i) {
    pipes.push_back(readable_pipe());
    ASSERT_EQ(add(pipes.back().reader.get(), Events::read), 0);
  }
  ASSERT_EQ(add(healthy.reader.get(), Events::read), 0);
  for (Pipe& pipe : pipes) {
    const int number = pipe.reader.get();
    pipe.reader.close();
    EXPECT_EQ(remove(number), 0);
  }

  const std::vector<ReadyEvent> reports = look();

  ASSERT_EQ(reports.size(), 1U) << "errors of what went with its descriptor are no reports";
  EXPECT_EQ(reports[0].fd, healthy.reader.get());
}

// It is told in the middle, as there is no room for so much: that call took what was ready, too.
TEST_F(KqueueBackendTest, LosesNoReportIfItPutOffMoreThanItHasRoomFor) {
  for (const Events wanted : {Events::closed, Events::read | Events::edge}) {
    std::deque<Pipe> pipes;
    for (int i = 0; i < 100; ++i) {
      pipes.push_back(make_pipe());
      ASSERT_EQ(add(pipes.back().reader.get(), Events::read), 0);
    }
    Sockets sockets = socket_pair();
    ASSERT_EQ(add(sockets.ours.get(), wanted), 0);
    ASSERT_EQ(look().size(), 0U);

    sockets.theirs.close();
    for (const Pipe& pipe : pipes) EXPECT_EQ(remove(pipe.reader.get()), 0);

    EXPECT_EQ(look().size(), 1U) << to_string(wanted);
  }
}

TEST_F(KqueueBackendTest, FiresForAPipeThatHadNoReaderWhenItWasAttached) {
  Pipe pipe = make_pipe();
  pipe.reader.close();
  for (const Events wanted : {Events::write, Events::write | Events::closed, Events::closed,
                              Events::error, Events::write | Events::edge}) {
    ASSERT_EQ(add(pipe.writer.get(), wanted), 0);
    const std::vector<ReadyEvent> reports = look();
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_TRUE(reports[0].is_error());
    EXPECT_FALSE(reports[0].is_hang_up());
    EXPECT_EQ(reports[0].what(Events::error), Events::write | Events::error);
    EXPECT_EQ(look().size(), any(wanted & Events::edge) ? 0U : 1U) << "as long as it lasts";
    ASSERT_EQ(remove(pipe.writer.get()), 0);
  }
}

TEST_F(KqueueBackendTest, SleepsOnATerminalThatNobodyWantsToWriteToAnyMore) {
  const Fd terminal(::posix_openpt(O_RDWR | O_NOCTTY));
  if (!terminal.open()) GTEST_SKIP() << "there is no terminal";
  ASSERT_EQ(add(terminal.get(), Events::write), 0);
  ASSERT_EQ(look().size(), 1U);

  EXPECT_EQ(kqueue->modify(terminal.get(), 1, Events::none, true), 0);

  EXPECT_EQ(look().size(), 0U);
  EXPECT_EQ(modify(terminal.get(), Events::write), 0);
  EXPECT_EQ(look().size(), 1U);
}

TEST_F(KqueueBackendTest, TellsEachChangeOnceHoweverManyThereAre) {
  std::deque<Pipe> pipes;
  for (int i = 0; i < 400; ++i) pipes.push_back(make_pipe());
  const CountingCall calls(Call::kevent);
  for (const Pipe& pipe : pipes) ASSERT_EQ(add(pipe.reader.get(), Events::read), 0);
  EXPECT_EQ(calls.count(), pipes.size()) << "one for each, which has its error";
  look();
  look();
  EXPECT_EQ(calls.count(), pipes.size() + 2);
}

TEST_F(KqueueBackendTest, TellsWhatIsNotWantedAnyMoreWithTheNextWait) {
  const Pipe pipe = readable_pipe();
  ASSERT_EQ(add(pipe.reader.get(), Events::read), 0);
  ASSERT_EQ(look().size(), 1U);
  const CountingCall calls(Call::kevent);

  EXPECT_EQ(kqueue->modify(pipe.reader.get(), 1, Events::none, true), 0);
  EXPECT_EQ(calls.count(), 0U);
  EXPECT_EQ(look().size(), 0U);
  EXPECT_EQ(calls.count(), 1U);
  EXPECT_EQ(remove(pipe.reader.get()), 0);
  EXPECT_EQ(look().size(), 0U);
  EXPECT_EQ(calls.count(), 2U);
}

TEST_F(KqueueBackendTest, TellsNothingOfWhatWasAddedAndRemovedBeforeAWait) {
  const Pipe pipe = readable_pipe();
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(add(pipe.reader.get(), Events::read), 0);
    ASSERT_EQ(remove(pipe.reader.get()), 0);
  }
  EXPECT_EQ(look().size(), 0U);

  ASSERT_EQ(add(pipe.reader.get(), Events::read), 0);
  EXPECT_EQ(look().size(), 1U);
}

TEST_F(KqueueBackendTest, DoesNotRepeatTheChangesOfAnInterruptedWait) {
  const Pipe pipe = make_pipe();
  ASSERT_EQ(add(pipe.reader.get(), Events::read), 0);
  ASSERT_EQ(remove(pipe.reader.get()), 0);
  std::signal(SIGUSR1, [](int) {});
  const pthread_t sleeper = ::pthread_self();
  std::atomic<bool> woken = false;
  std::thread interrupting([&] {
    while (!woken) {
      ::pthread_kill(sleeper, SIGUSR1);
      std::this_thread::yield();
    }
  });
  EXPECT_EQ(kqueue->wait(TimePoint::max(), true, batch), 0);
  woken = true;
  interrupting.join();
  std::signal(SIGUSR1, SIG_DFL);

  ASSERT_EQ(add(pipe.reader.get(), Events::read), 0);
  write_bytes(pipe.writer);
  EXPECT_EQ(look().size(), 1U) << "it is not removed once more";
}

TEST_F(KqueueBackendTest, SaysThatANumberStandsForAnotherFile) {
  for (const Events before :
       {Events::read, Events::none, Events::closed, Events::read | Events::edge}) {
    for (const Events after : {Events::read, Events::write, Events::read | Events::write}) {
      Pipe old = readable_pipe();
      const int number = old.reader.get();
      ASSERT_EQ(add(number, before), 0);
      Sockets sockets = socket_pair();
      old.reader.close();
      const Fd fresh = move_to(number, std::move(sockets.ours));

      EXPECT_EQ(modify(number, after), ENOENT);
      EXPECT_EQ(look().size(), 0U) << "the other file is not watched";
      remove(number);
      EXPECT_EQ(modify(number, after), ENOENT);
      ASSERT_EQ(add(number, Events::write), 0);
      EXPECT_EQ(look().size(), 1U);
      remove(number);
    }
  }
}

TEST_F(KqueueBackendTest, RefusesToAddWhatIsThere) {
  const Pipe pipe = readable_pipe();
  for (const Events wanted : {Events::none, Events::read, Events::closed}) {
    ASSERT_EQ(add(pipe.reader.get(), wanted), 0);
    EXPECT_EQ(add(pipe.reader.get(), Events::read), EEXIST);
    EXPECT_EQ(remove(pipe.reader.get()), 0);
  }
}

TEST_F(KqueueBackendTest, LeavesEverythingAsItWasIfTheKernelRefusesAChange) {
  const Sockets sockets = socket_pair();
  write_bytes(sockets.theirs);
  ASSERT_EQ(add(sockets.ours.get(), Events::read), 0);
  {
    const FailingCall failing(Call::kevent, ENOMEM);
    EXPECT_EQ(modify(sockets.ours.get(), Events::write), ENOMEM);
  }
  const std::vector<ReadyEvent> reports = look();
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].what(Events::none), Events::read);
}

TEST_F(KqueueBackendTest, TellsOfOneDescriptorInOneReport) {
  const Sockets sockets = socket_pair();
  write_bytes(sockets.theirs);
  ASSERT_EQ(add(sockets.ours.get(), Events::read | Events::write), 0);

  const std::vector<ReadyEvent> reports = look();

  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].what(Events::none), Events::read | Events::write);
}

TEST_F(KqueueBackendTest, ShowsNoMoreThanIsReadyOnceItHasSettled) {
  const Pipe pipe = readable_pipe();
  ASSERT_EQ(add(pipe.reader.get(), Events::read), 0);
  ASSERT_GE(kqueue->fd(), 0);
  ASSERT_EQ(look().size(), 1U);
  drain(pipe.reader);

  kqueue->refresh_fd();

  EXPECT_FALSE(is_readable());
}

TEST_F(KqueueBackendTest, StillReportsOnceSettledWhatTheKernelSaysOnlyOnce) {
  const Sockets sockets = socket_pair();
  ASSERT_GE(kqueue->fd(), 0);
  ASSERT_EQ(add(sockets.ours.get(), Events::write | Events::edge), 0);

  kqueue->refresh_fd();
  kqueue->refresh_fd();

  EXPECT_TRUE(is_readable());
  EXPECT_EQ(look().size(), 1U);
  EXPECT_EQ(look().size(), 0U);
  kqueue->refresh_fd();
  EXPECT_FALSE(is_readable());
}

// It kept what it had taken from the kernel, whatever became of the descriptor.
TEST_F(KqueueBackendTest, TellsNothingOnceItHasSettledThatIsNotSoAnyMore) {
  for (const Events wanted : {Events::closed, Events::read | Events::edge}) {
    Sockets sockets = socket_pair();
    ASSERT_GE(kqueue->fd(), 0);
    ASSERT_EQ(add(sockets.ours.get(), wanted), 0);
    sockets.theirs.close();
    kqueue->refresh_fd();
    EXPECT_TRUE(is_readable()) << to_string(wanted);

    sockets.ours.close();

    EXPECT_FALSE(is_readable()) << to_string(wanted);
    EXPECT_EQ(look().size(), 0U) << to_string(wanted);
  }
}

// Wake-ups, signals and processes, in the queue that watches the descriptors.

TEST_F(KqueueBackendTest, WatchesEverythingThatABaseHasInOneQueue) {
  const CountingCall calls(Call::kqueue);
  Base base(options());
  const Disposition ignored(SIGUSR1, SIG_IGN);
  const Blocked blocked(SIGUSR1);
  const Process process(3);
  const Pipe pipe = readable_pipe();
  int signals = 0, statuses = 0, reads = 0, posts = 0;
  Signal signal(base, SIGUSR1, [&] { ++signals; });
  Child child(base, process.pid(), [&](int status) { statuses += WEXITSTATUS(status); });
  Event event(base, pipe.reader.get(), Events::read, [&] { ++reads; });
  signal.keep_alive(false);
  signal.attach();
  child.attach();
  event.attach();
  std::thread other([&] { base.post([&] { ++posts; }); });
  raise_for_process(SIGUSR1);
  process.end();

  run(base);
  other.join();
  run(base);

  EXPECT_EQ(calls.count(), 1U);
  EXPECT_EQ((std::array{signals, statuses, reads, posts}), (std::array{1, 3, 1, 1}));
}

TEST_F(KqueueBackendTest, IsWokenByOtherThreadsThatPostOrStop) {
  Base base(options());
  int posts = 0;
  for (int i = 0; i < 100; ++i) {
    std::thread other([&] {
      if (i % 2 == 0) base.post([&] { ++posts; });
      base.stop();
    });
    run(base, RunMode::keep_alive);
    other.join();
  }
  run(base);
  EXPECT_EQ(posts, 50);
}

TEST_F(KqueueBackendTest, ReportsAWakeUpOnceHoweverOftenItWasWoken) {
  ASSERT_EQ(kqueue->watch(Source::wakeup, 0), 0);
  EXPECT_EQ(look().size(), 0U);
  errno = ENOTRECOVERABLE;
  for (int i = 0; i < 3; ++i) kqueue->wake();
  EXPECT_EQ(errno, ENOTRECOVERABLE);

  const std::vector<ReadyEvent> reports = look();

  ASSERT_EQ(reports.size(), 1U);
  ASSERT_TRUE(reports[0].is_of_source());
  EXPECT_EQ(reports[0].source(), Source::wakeup);
  EXPECT_EQ(look().size(), 0U);
}

TEST_F(KqueueBackendTest, EndsAWaitAtAnyWakeUpSinceTheLastOne) {
  ASSERT_EQ(kqueue->watch(Source::wakeup, 0), 0);
  for (int i = 0; i < 200; ++i) {
    std::thread other([&] { kqueue->wake(); });
    EXPECT_EQ(kqueue->wait(TimePoint::max(), true, batch), 0);  // or it would last for ever
    batch.take_all();
    EXPECT_EQ(batch.size(), 1U);
    other.join();
  }
}

TEST_F(KqueueBackendTest, TellsAWakeUpFromDescriptorZero) {
  EXPECT_TRUE(succeeds_in_child([] {
    const auto fresh = detail::make_poller(Backend::kqueue);
    ReadyBatch reports(fresh->traits().kernel_entry);
    const Pipe pipe = readable_pipe();
    ASSERT_EQ(::dup2(pipe.reader.get(), 0), 0);
    ASSERT_EQ(fresh->watch(Source::wakeup, 0), 0);
    fresh->wake();
    ASSERT_EQ(fresh->add(0, 1, Events::read), 0);

    ASSERT_EQ(fresh->wait(TimePoint::max(), false, reports), 0);

    ASSERT_EQ(reports.size(), 2U);
    EXPECT_EQ(reports.ready()[0].source(), Source::wakeup);
    EXPECT_EQ(reports.ready()[1].what(Events::read), Events::read);
  }));
}

TEST_F(KqueueBackendTest, ReportsSignalsThatAreBlockedWhileTheyAreWatched) {
  const Disposition counted(SIGUSR1, &count_stray);
  const Blocked blocked(SIGUSR1);
  ASSERT_EQ(kqueue->watch(Source::signal, SIGUSR1), 0);
  for (int i = 0; i < 3; ++i) {
    raise_for_process(SIGUSR1);
    const std::vector<ReadyEvent> reports = look();
    ASSERT_EQ(reports.size(), 1U);
    EXPECT_EQ(reports[0].source(), Source::signal);
    EXPECT_EQ(look().size(), 0U);
    take_pending(SIGUSR1);
  }
  kqueue->unwatch(Source::signal, SIGUSR1);
  EXPECT_EQ(look().size(), 0U);
  raise_for_process(SIGUSR1);
  EXPECT_EQ(look().size(), 0U);
}

TEST_F(KqueueBackendTest, ReportsTheEndOfAProcessOnce) {
  const Process process;
  const Process unwatched;
  for (const Process* const each : {&process, &unwatched, &process}) {
    ASSERT_EQ(kqueue->watch(Source::process, each->pid()), 0);
  }
  kqueue->unwatch(Source::process, unwatched.pid());
  EXPECT_EQ(look().size(), 0U);
  process.end_now();
  unwatched.end_now();

  const std::vector<ReadyEvent> reports = look();

  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].source(), Source::process);
  EXPECT_EQ(reports[0].ident(), process.pid());
  EXPECT_EQ(look().size(), 0U);
  kqueue->unwatch(Source::process, process.pid());
  EXPECT_EQ(process.reap(), "exited 0");
  EXPECT_EQ(kqueue->watch(Source::process, process.pid()), ESRCH);
}

TEST_F(KqueueBackendTest, TellsOfChildrenThatExitAtOnce) {
  Base base(options());
  constexpr int kMany = 100;
  int exited = 0;
  std::deque<Child> children;
  for (int i = 0; i < kMany; ++i) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(7);
    children.emplace_back(base, pid, [&](int status) { exited += WEXITSTATUS(status) == 7; })
        .attach();
  }
  run(base);
  EXPECT_EQ(exited, kMany);
}

// As some systems say of a process that is about to end, others of one that has, too.
TEST_F(KqueueBackendTest, TellsOfChildrenThatTheKernelDoesNotWatchAnyMore) {
  for (const bool ended : {true, false}) {
    Base base(options());
    const Process process(7);
    if (ended) process.end_now();
    std::string status;
    Child child(base, process.pid(), [&](int s) { status = told(s); });
    {
      const FailingCall failing(Call::kevent, ESRCH);
      child.attach();
      EXPECT_EQ(failing.failures(), 1U);
    }
    if (!ended) process.end();
    run(base);
    EXPECT_EQ(status, "exited 7");
  }
}

TEST_F(KqueueBackendTest, HoldsWhatTheKernelTellsOnceUntilTheNextWait) {
  const Disposition counted(SIGUSR1, &count_stray);
  const Blocked blocked(SIGUSR1);
  const Process process, detached;
  ASSERT_GE(kqueue->fd(), 0);
  ASSERT_EQ(kqueue->watch(Source::signal, SIGUSR1), 0);
  ASSERT_EQ(kqueue->watch(Source::process, process.pid()), 0);
  ASSERT_EQ(kqueue->watch(Source::process, detached.pid()), 0);
  EXPECT_FALSE(kqueue->refresh_fd());
  raise_for_process(SIGUSR1);
  process.end_now();
  detached.end_now();

  EXPECT_TRUE(kqueue->refresh_fd());
  kqueue->unwatch(Source::process, detached.pid());

  EXPECT_EQ(kqueue->wait(TimePoint::max(), true, batch), 0) << "it does not sleep";
  const std::vector<ReadyEvent> reports = take_batch();
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[0].source(), Source::signal);
  EXPECT_EQ(reports[1].ident(), process.pid());
  EXPECT_FALSE(kqueue->refresh_fd());
  EXPECT_EQ(look().size(), 0U);
}

// A kqueue is not inherited by a fork, and what it watched is not either.
TEST_F(KqueueBackendTest, WatchesEverythingAnewInTheChildOfAFork) {
  Base base(options());
  const Disposition ignored(SIGUSR1, SIG_IGN);
  const Blocked blocked(SIGUSR1);
  const Process process(3), gone(4);
  int signals = 0, unknown = 0;
  Signal signal(base, SIGUSR1, [&] { ++signals; });
  signal.keep_alive(false);
  signal.attach();
  Child child(base, process.pid(), [&](int status) { unknown += status == -1; });
  Child other(base, gone.pid(), [&](int status) { unknown += status == -1; });
  child.attach();
  other.attach();

  EXPECT_TRUE(succeeds_in_child([&] {
    base.post([] {});  // wakes nobody, the parent least of all
    {
      const FailingCall failing(Call::kevent, ESRCH,
                                4);  // after the wake-up, the signal, `process`
      base.after_fork();
      EXPECT_EQ(failing.failures(), 1U);
    }
    raise_for_process(SIGUSR1);
    std::thread stopping([&] { base.stop(); });
    run(base, RunMode::keep_alive);
    stopping.join();
    process.end();
    run(base);
    EXPECT_EQ(signals, 1);
    EXPECT_EQ(unknown, 2) << "they are no children of this process";
  }));
  EXPECT_EQ(base.stats().wakeups, 0U);
}

TEST_F(KqueueBackendTest, ReportsThatSomebodyElseHasClosedTheQueue) {
  std::optional<Base> base(options());
  Timer timer(*base, [] {});
  timer.attach(1h);
  const int number = base->fd();
  Pipe pipe = make_pipe();
  ::close(number);
  const Fd theirs = move_to(number, std::move(pipe.writer));

  base->post([] {});
  EXPECT_EQ(thrown_by([&] { base->dispatch(); }), system_error(EBADF));
  base->stop();
  base.reset();

  EXPECT_GE(::fcntl(number, F_GETFD), 0) << "it is not the base's to close";
  pollfd polled{pipe.reader.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&polled, 1, 0), 0) << "nothing was written to it";
}

}  // namespace
}  // namespace event_cpp::test

#endif
