// The model of kqueue(2) that the backend is tested over on Linux, and, where there is one, the
// real thing: what is relied on, in the words of the manual page.
#include <gtest/gtest.h>

#if EVENT_HAVE_KQUEUE

#include <fcntl.h>
#include <poll.h>
#include <sys/event.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "poller/kernel_queue.hpp"
#include "support/descriptors.hpp"
#include "support/forked.hpp"

namespace event_cpp::test {
namespace {

using Changes = std::vector<struct kevent>;

class KqueueModelTest : public testing::Test {
 protected:
  KqueueModelTest() : queue(::kqueue()) {}

  static struct kevent change(int ident, int filter, unsigned flags, unsigned fflags = 0,
                              std::int64_t data = 0, std::uint32_t number = 0) {
    return detail::make_change(ident, filter, flags, fflags, data,
                               detail::to_user_data<detail::KqueueUserData>(number));
  }

  // Returns the errno.
  int tell(const Changes& changes) const {
    const int count = detail::tell_kqueue(queue.get(), changes.data(), changes.size(), nullptr, 0);
    return count < 0 ? errno : 0;
  }
  int tell(const struct kevent& one) const { return tell(Changes{one}); }

  // What is there now.
  Changes look(const Changes& changes = {}, std::size_t room = 16) const {
    Changes found(room);
    const int count =
        detail::tell_kqueue(queue.get(), changes.data(), changes.size(), found.data(), room);
    EXPECT_GE(count, 0);
    found.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return found;
  }

  Changes await() const {
    Changes found(16);
    const int count = ::kevent(queue.get(), nullptr, 0, found.data(), 16, nullptr);
    found.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return found;
  }

  bool is_readable() const {
    pollfd polled{queue.get(), POLLIN, 0};
    return ::poll(&polled, 1, 0) == 1;
  }

  Fd queue;
};

TEST_F(KqueueModelTest, ReportsALevelAsLongAsItIsThere) {
  const Pipe pipe = readable_pipe();
  EXPECT_EQ(tell(change(pipe.reader.get(), EVFILT_READ, EV_ADD, 0, 0, 7)), 0);

  for (int i = 0; i < 3; ++i) {
    const Changes found = look();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].ident, static_cast<std::uintptr_t>(pipe.reader.get()));
    EXPECT_EQ(found[0].filter, EVFILT_READ);
    EXPECT_EQ(found[0].data, 1);
    EXPECT_EQ(detail::from_user_data(found[0].udata), 7U);
  }
  drain(pipe.reader);
  EXPECT_EQ(look().size(), 0U);
}

TEST_F(KqueueModelTest, ReportsAChangeOnceWithClear) {
  const Pipe pipe = readable_pipe();
  EXPECT_EQ(tell(change(pipe.reader.get(), EVFILT_READ, EV_ADD | EV_CLEAR)), 0);
  EXPECT_EQ(look().size(), 1U);
  EXPECT_EQ(look().size(), 0U);

  write_bytes(pipe.writer);
  EXPECT_EQ(look().size(), 1U);
  EXPECT_EQ(look().size(), 0U);
}

TEST_F(KqueueModelTest, LooksAgainWhenAKnoteIsSwitchedOffAndOn) {
  const Pipe pipe = readable_pipe();
  const int fd = pipe.reader.get();
  EXPECT_EQ(tell(change(fd, EVFILT_READ, EV_ADD | EV_CLEAR)), 0);
  EXPECT_EQ(look().size(), 1U);

  EXPECT_EQ(tell({change(fd, EVFILT_READ, EV_DISABLE), change(fd, EVFILT_READ, EV_ENABLE)}), 0);

  EXPECT_EQ(look().size(), 1U);
}

TEST_F(KqueueModelTest, RemovesAOneShotAndSwitchesOffWhatIsToBeDispatched) {
  const Pipe pipe = readable_pipe();
  const int fd = pipe.reader.get();
  EXPECT_EQ(tell(change(fd, EVFILT_READ, EV_ADD | EV_ONESHOT)), 0);
  EXPECT_EQ(look().size(), 1U);
  EXPECT_EQ(tell(change(fd, EVFILT_READ, EV_ENABLE)), ENOENT);

#if defined(EV_DISPATCH)
  EXPECT_EQ(tell(change(fd, EVFILT_READ, EV_ADD | EV_DISPATCH)), 0);
  EXPECT_EQ(look().size(), 1U);
  EXPECT_EQ(look().size(), 0U);
  EXPECT_EQ(tell(change(fd, EVFILT_READ, EV_ENABLE)), 0);
  EXPECT_EQ(look().size(), 1U);
#endif
}

TEST_F(KqueueModelTest, SaysNothingOfAKnoteThatIsOff) {
  const Pipe pipe = readable_pipe();
  EXPECT_EQ(tell(change(pipe.reader.get(), EVFILT_READ, EV_ADD | EV_DISABLE)), 0);
  EXPECT_EQ(look().size(), 0U);
  EXPECT_FALSE(is_readable());
  EXPECT_EQ(tell(change(pipe.reader.get(), EVFILT_READ, EV_ENABLE)), 0);
  EXPECT_TRUE(is_readable());
}

TEST_F(KqueueModelTest, MakesChangesInTheirOrderAndReceiptsSayHow) {
  const Pipe pipe = readable_pipe();
  const int fd = pipe.reader.get();
  const Changes results =
      look({change(fd, EVFILT_READ, EV_DELETE), change(fd, EVFILT_READ, EV_ADD | EV_RECEIPT),
            change(closed_number(), EVFILT_READ, EV_ADD, 0, 0, 9),
            change(fd, EVFILT_READ, EV_DELETE | EV_RECEIPT)});
  ASSERT_EQ(results.size(), 4U) << "and what is ready is left for the next call";
  constexpr int kErrors[] = {ENOENT, 0, EBADF, 0};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NE(results[i].flags & EV_ERROR, 0);
    EXPECT_EQ(results[i].data, kErrors[i]);
  }
  EXPECT_EQ(detail::from_user_data(results[2].udata), 9U);
}

TEST_F(KqueueModelTest, FailsAsAWholeIfThereIsNoRoomForAnError) {
  const Pipe pipe = readable_pipe();
  EXPECT_EQ(tell(change(pipe.reader.get(), EVFILT_READ, EV_DELETE)), ENOENT);
  EXPECT_EQ(tell(change(closed_number(), EVFILT_READ, EV_ADD)), EBADF);
}

TEST_F(KqueueModelTest, ForgetsADescriptorThatIsClosedOrReplaced) {
  Pipe pipe = readable_pipe();
  const int fd = pipe.reader.get();
  const Fd copy = duplicate(pipe.reader);
  EXPECT_EQ(tell(change(fd, EVFILT_READ, EV_ADD)), 0);
  pipe.reader.close();
  EXPECT_EQ(look().size(), 0U) << "though a duplicate is open";
  EXPECT_EQ(tell(change(fd, EVFILT_READ, EV_ENABLE)), EBADF);

  Pipe other = readable_pipe();
  Pipe third = readable_pipe();
  EXPECT_EQ(tell(change(other.reader.get(), EVFILT_READ, EV_ADD)), 0);
  duplicate_onto(other.reader.get(), third.reader);
  EXPECT_EQ(look().size(), 0U);
  EXPECT_EQ(tell(change(other.reader.get(), EVFILT_READ, EV_ENABLE)), ENOENT);
}

TEST_F(KqueueModelTest, TellsTheEndOfEachDirectionOfASocket) {
  Sockets sockets = socket_pair();
  const int fd = sockets.ours.get();
  EXPECT_EQ(tell({change(fd, EVFILT_READ, EV_ADD), change(fd, EVFILT_WRITE, EV_ADD)}), 0);
  ASSERT_EQ(look().size(), 1U);

  end_writing(sockets.theirs);
  Changes found = look();
  ASSERT_EQ(found.size(), 2U);
  for (const struct kevent& each : found) {
    EXPECT_EQ((each.flags & EV_EOF) != 0, each.filter == EVFILT_READ);
  }
  sockets.theirs.close();
  found = look();
  ASSERT_EQ(found.size(), 2U);
  for (const struct kevent& each : found) EXPECT_NE(each.flags & EV_EOF, 0);
}

TEST_F(KqueueModelTest, TellsTheErrorOfASocketWithTheEnd) {
  const Fd refused = refused_connection();
  EXPECT_EQ(tell({change(refused.get(), EVFILT_READ, EV_ADD),
                  change(refused.get(), EVFILT_WRITE, EV_ADD)}),
            0);
  const Changes found = look();
  ASSERT_EQ(found.size(), 2U);
  for (const struct kevent& each : found) {
    EXPECT_NE(each.flags & EV_EOF, 0);
    EXPECT_NE(each.fflags, 0U);
  }
  Sockets ended = socket_pair();
  EXPECT_EQ(tell(change(ended.ours.get(), EVFILT_READ, EV_ADD)), 0);
  ended.theirs.close();
  for (const struct kevent& each : look()) {
    EXPECT_EQ(each.fflags != 0, static_cast<int>(each.ident) == refused.get());
  }
}

TEST_F(KqueueModelTest, TellsTheEndAloneWithAHighLowWaterMark) {
  Sockets sockets = socket_pair();
  EXPECT_EQ(tell(change(sockets.ours.get(), EVFILT_READ, EV_ADD | EV_CLEAR, NOTE_LOWAT, INT32_MAX)),
            0);
  write_bytes(sockets.theirs, 10);
  EXPECT_EQ(look().size(), 0U);

  end_writing(sockets.theirs);
  const Changes found = look();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NE(found[0].flags & EV_EOF, 0);
}

TEST_F(KqueueModelTest, TellsTheEndOfAPipeOrRefusesToWatchIt) {
  Pipe pipe = make_pipe();
  EXPECT_EQ(tell(change(pipe.writer.get(), EVFILT_WRITE, EV_ADD)), 0);
  pipe.reader.close();
  const Changes found = look();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_NE(found[0].flags & EV_EOF, 0);

  Pipe broken = make_pipe();
  broken.reader.close();
  const int error = tell(change(broken.writer.get(), EVFILT_WRITE, EV_ADD));
  EXPECT_TRUE(error == EPIPE || error == 0) << error;
}

TEST_F(KqueueModelTest, TakesTheUserDataAndParametersOfALaterChange) {
  const Pipe pipe = readable_pipe();
  EXPECT_EQ(tell(change(pipe.reader.get(), EVFILT_READ, EV_ADD, 0, 0, 1)), 0);
  EXPECT_EQ(tell(change(pipe.reader.get(), EVFILT_READ, EV_ADD, 0, 0, 2)), 0);

  const Changes found = look();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(detail::from_user_data(found[0].udata), 2U);
}

TEST_F(KqueueModelTest, GivesEachActiveKnoteItsTurn) {
  std::vector<Pipe> pipes;
  for (int i = 0; i < 5; ++i) {
    pipes.push_back(readable_pipe());
    EXPECT_EQ(tell(change(pipes.back().reader.get(), EVFILT_READ, EV_ADD)), 0);
  }
  std::vector<std::uintptr_t> seen;
  for (int i = 0; i < 5; ++i) {
    const Changes found = look({}, 1);
    ASSERT_EQ(found.size(), 1U);
    for (const std::uintptr_t before : seen) EXPECT_NE(before, found[0].ident);
    seen.push_back(found[0].ident);
  }
}

TEST_F(KqueueModelTest, IsADescriptorThatCanBeWatchedByAnother) {
  const Pipe pipe = make_pipe();
  const Fd outer(::kqueue());
  EXPECT_EQ(tell(change(pipe.reader.get(), EVFILT_READ, EV_ADD)), 0);
  const struct kevent watch = change(queue.get(), EVFILT_READ, EV_ADD | EV_CLEAR);
  ASSERT_EQ(detail::tell_kqueue(outer.get(), &watch, 1, nullptr, 0), 0);
  struct kevent found;
  EXPECT_EQ(detail::tell_kqueue(outer.get(), nullptr, 0, &found, 1), 0);

  write_bytes(pipe.writer);
  ASSERT_EQ(detail::tell_kqueue(outer.get(), nullptr, 0, &found, 1), 1);
  EXPECT_EQ(found.ident, static_cast<std::uintptr_t>(queue.get()));
  EXPECT_EQ(detail::tell_kqueue(outer.get(), nullptr, 0, &found, 1), 0);
}

TEST_F(KqueueModelTest, GoesOnUnderItsOtherNumberWhenOneIsClosed) {
  const Fd copy = duplicate(queue);
  queue.close();
  const Pipe pipe = readable_pipe();  // one end takes the number

  queue = duplicate(copy);
  EXPECT_EQ(tell(change(pipe.reader.get(), EVFILT_READ, EV_ADD)), 0);

  EXPECT_EQ(look().size(), 1U);
}

TEST_F(KqueueModelTest, IsNotThereInTheChildOfAFork) {
  const Pipe pipe = readable_pipe();
  EXPECT_EQ(tell(change(pipe.reader.get(), EVFILT_READ, EV_ADD)), 0);
  EXPECT_TRUE(succeeds_in_child([&] {
    EXPECT_EQ(tell(change(pipe.reader.get(), EVFILT_READ, EV_DELETE)), EBADF);
    EXPECT_EQ(::fcntl(queue.get(), F_GETFD), -1);
  }));
  EXPECT_EQ(look().size(), 1U) << "the parent's is as it was";
}

void do_nothing(int) {}

TEST_F(KqueueModelTest, IsInterruptedByASignal) {
  const auto before = std::signal(SIGALRM, do_nothing);
  struct kevent found;
  itimerval soon{{0, 5000}, {0, 5000}};  // again and again, should the first come too early
  ::setitimer(ITIMER_REAL, &soon, nullptr);
  EXPECT_EQ(::kevent(queue.get(), nullptr, 0, &found, 1, nullptr), -1);
  EXPECT_EQ(errno, EINTR);
  soon = {};
  ::setitimer(ITIMER_REAL, &soon, nullptr);
  std::signal(SIGALRM, before);
}

TEST_F(KqueueModelTest, WaitsNoShorterThanItIsTold) {
  const timespec timeout{0, 3'300'000};
  struct kevent found;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(::kevent(queue.get(), nullptr, 0, &found, 1, &timeout), 0);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::microseconds(3300));
}

#if defined(EVFILT_USER)
TEST_F(KqueueModelTest, IsTriggeredByAnyThread) {
  EXPECT_EQ(tell(change(5, EVFILT_USER, EV_ADD | EV_CLEAR)), 0);
  EXPECT_EQ(look().size(), 0U);
  for (int i = 0; i < 10; ++i) {
    std::thread other([&] { EXPECT_EQ(tell(change(5, EVFILT_USER, 0, NOTE_TRIGGER)), 0); });
    const Changes found = await();
    other.join();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_EQ(found[0].filter, EVFILT_USER);
    EXPECT_EQ(found[0].ident, 5U);
    EXPECT_EQ(look().size(), 0U);
  }
}
#endif

#if defined(EVFILT_USER)
TEST_F(KqueueModelTest, ReportsATriggerOnceHoweverOftenItCame) {
  EXPECT_EQ(tell(change(0, EVFILT_USER, EV_ADD | EV_CLEAR)), 0);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(tell(change(0, EVFILT_USER, 0, NOTE_TRIGGER)), 0);
  EXPECT_EQ(tell(change(0, EVFILT_USER, EV_ADD | EV_CLEAR)), 0) << "it is there already";

  EXPECT_TRUE(is_readable());
  EXPECT_EQ(look().size(), 1U);
  EXPECT_EQ(look().size(), 0U);
}

TEST_F(KqueueModelTest, ReportsKnotesOfEveryKindTogether) {
  const Pipe pipe = readable_pipe();
  sigset_t one, before;
  ::sigemptyset(&one);
  ::sigaddset(&one, SIGUSR2);
  ::pthread_sigmask(SIG_BLOCK, &one, &before);
  Pipe ending = make_pipe();
  const pid_t child = ::fork();
  if (child == 0) {
    char byte;
    static_cast<void>(::read(ending.reader.get(), &byte, 1));
    ::_exit(0);
  }
  EXPECT_EQ(tell({change(pipe.reader.get(), EVFILT_READ, EV_ADD),
                  change(0, EVFILT_USER, EV_ADD | EV_CLEAR), change(SIGUSR2, EVFILT_SIGNAL, EV_ADD),
                  change(static_cast<int>(child), EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT)}),
            0);
  EXPECT_EQ(look().size(), 1U);

  EXPECT_EQ(tell(change(0, EVFILT_USER, 0, NOTE_TRIGGER)), 0);
  ::kill(::getpid(), SIGUSR2);
  write_bytes(ending.writer);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);

  std::set<int> filters;
  for (const struct kevent& each : look()) filters.insert(static_cast<int>(each.filter));
  EXPECT_EQ(filters, (std::set<int>{EVFILT_READ, EVFILT_USER, EVFILT_SIGNAL, EVFILT_PROC}));
  EXPECT_EQ(look().size(), 1U) << "the readable pipe alone lasts";
  EXPECT_EQ(tell(change(static_cast<int>(child), EVFILT_PROC, EV_DELETE)), ENOENT);
  ::waitpid(child, nullptr, 0);
  int taken = 0;
  ::sigwait(&one, &taken);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}
#endif

TEST_F(KqueueModelTest, TellsNothingOfASignalThatWasPendingBefore) {
  sigset_t one, before;
  ::sigemptyset(&one);
  ::sigaddset(&one, SIGUSR2);
  ::pthread_sigmask(SIG_BLOCK, &one, &before);
  ::kill(::getpid(), SIGUSR2);

  EXPECT_EQ(tell(change(SIGUSR2, EVFILT_SIGNAL, EV_ADD)), 0);

  EXPECT_EQ(look().size(), 0U);
  int taken = 0;
  ::sigwait(&one, &taken);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_F(KqueueModelTest, TellsOfASignalThatIsBlockedOnce) {
  sigset_t one, before;
  ::sigemptyset(&one);
  ::sigaddset(&one, SIGUSR2);
  ::pthread_sigmask(SIG_BLOCK, &one, &before);
  EXPECT_EQ(tell(change(SIGUSR2, EVFILT_SIGNAL, EV_ADD)), 0);
  ::kill(::getpid(), SIGUSR2);

  const Changes found = await();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].data, 1);
  EXPECT_EQ(look().size(), 0U);
  int taken = 0;
  EXPECT_EQ(::sigwait(&one, &taken), 0) << "it is still pending";
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_F(KqueueModelTest, TellsOfTheEndOfAProcessOnce) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  const int error = tell(change(static_cast<int>(child), EVFILT_PROC, EV_ADD, NOTE_EXIT));
  if (error != ESRCH) {  // it has ended before that, which some systems say so
    EXPECT_EQ(error, 0);
    const Changes found = await();
    ASSERT_EQ(found.size(), 1U);
    EXPECT_NE(found[0].fflags & NOTE_EXIT, 0U);
    EXPECT_EQ(look().size(), 0U);
  }
  EXPECT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(tell(change(static_cast<int>(child), EVFILT_PROC, EV_ADD, NOTE_EXIT)), ESRCH);
}

TEST_F(KqueueModelTest, TellsThatATimeHasPassedAgainAndAgain) {
  EXPECT_EQ(tell(change(1, EVFILT_TIMER, EV_ADD, 0, 2)), 0);
  std::int64_t passed = 0;
  while (passed < 5) {
    for (const struct kevent& each : await()) passed += each.data;
  }
  EXPECT_EQ(tell(change(1, EVFILT_TIMER, EV_DELETE)), 0);
  EXPECT_EQ(look().size(), 0U);
}

}  // namespace
}  // namespace event_cpp::test

#endif
