// That the build which checks the library's use of descriptors finds what it is for. Only in that.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <ctime>

#include "event/event.hpp"
#include "support/descriptors.hpp"

// Of checked_calls.cpp: what the library calls.
extern "C" {
int event_checked_close(int fd);
int event_checked_epoll_create1(int flags);
int event_checked_epoll_ctl(int set, int operation, int fd, epoll_event* event);
int event_checked_epoll_wait(int set, epoll_event* events, int room, int timeout);
int event_checked_eventfd(unsigned value, int flags);
int event_checked_fcntl(int fd, int command, ...);
int event_checked_fstat(int fd, struct stat* status);
int event_checked_poll(pollfd* polled, nfds_t count, int timeout);
ssize_t event_checked_read(int fd, void* into, std::size_t size);
long event_checked_syscall(long number, int first, unsigned second, siginfo_t* info,
                           unsigned flags);
int event_checked_timerfd_create(clockid_t clock, int flags);
int event_checked_timerfd_settime(int timer, int flags, const itimerspec* when, itimerspec* before);
ssize_t event_checked_write(int fd, const void* from, std::size_t size);
}

namespace event_cpp::test {
namespace {

int eventfd_of_the_library() { return event_checked_eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

int closed_eventfd() {
  const int number = eventfd_of_the_library();
  event_checked_close(number);
  return number;
}

int add(int set, int fd) {
  epoll_event event{};
  return event_checked_epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
}

ssize_t write_to(int fd) {
  const std::uint64_t one = 1;
  return event_checked_write(fd, &one, sizeof one);
}

TEST(CheckedCallTest, EndsAtASecondClose) {
  const int number = closed_eventfd();
  EXPECT_DEATH(event_checked_close(number), "close\\(\\).*closed by the library");
}

TEST(CheckedCallTest, EndsWhenADescriptorOfTheProgramIsClosedReadOrWritten) {
  const Pipe pipe = readable_pipe();
  char byte = 0;
  EXPECT_DEATH(event_checked_close(pipe.reader.get()), "close\\(\\).*not the library's");
  EXPECT_DEATH(event_checked_read(pipe.reader.get(), &byte, 1), "read\\(\\).*not the library's");
  EXPECT_DEATH(write_to(pipe.writer.get()), "write\\(\\).*not the library's");
}

TEST(CheckedCallTest, EndsAtEachUseOfWhatTheLibraryHasClosed) {
  const int number = closed_eventfd();
  const int timer = event_checked_timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  event_checked_close(timer);
  const int set = event_checked_epoll_create1(EPOLL_CLOEXEC);
  const int closed_set = event_checked_epoll_create1(EPOLL_CLOEXEC);
  event_checked_close(closed_set);
  const Pipe pipe = readable_pipe();
  std::uint64_t count = 0;
  struct stat status {};
  pollfd polled{number, POLLIN, 0};
  epoll_event ready{};
  const itimerspec when{};

  EXPECT_DEATH(write_to(number), "write");
  EXPECT_DEATH(event_checked_read(number, &count, sizeof count), "read");
  EXPECT_EQ(event_checked_fstat(number, &status), -1);
  EXPECT_EQ(errno, EBADF);
  EXPECT_DEATH(event_checked_poll(&polled, 1, 0), "poll");
  EXPECT_DEATH(event_checked_timerfd_settime(timer, 0, &when, nullptr), "timerfd_settime");
  EXPECT_DEATH(add(set, number), "epoll_ctl");
  EXPECT_DEATH(add(closed_set, pipe.reader.get()), "epoll_ctl");
  EXPECT_DEATH(event_checked_epoll_wait(closed_set, &ready, 1, 0), "epoll_wait");
  event_checked_close(set);
}

TEST(CheckedCallTest, EndsWhenOneKindOfDescriptorIsTakenForAnother) {
  const int number = eventfd_of_the_library();
  const itimerspec when{};
  EXPECT_DEATH(event_checked_timerfd_settime(number, 0, &when, nullptr), "which is an eventfd");
  event_checked_close(number);
}

TEST(CheckedCallTest, TakesACopyOfTheLibrarysDescriptorForItsOwn) {
  const int number = eventfd_of_the_library();
  const int copy = event_checked_fcntl(number, F_DUPFD_CLOEXEC, 3L);
  event_checked_close(number);
  EXPECT_EQ(write_to(copy), ssize_t{sizeof(std::uint64_t)});
  event_checked_close(copy);
}

TEST(CheckedCallTest, EndsWhenAForeignDescriptorIsCopiedOrChanged) {
  const Pipe pipe = make_pipe();
  const int program = pipe.reader.get();
  EXPECT_DEATH(event_checked_fcntl(program, F_DUPFD_CLOEXEC, 3L), "fcntl\\(\\).*not the library's");
  EXPECT_DEATH(event_checked_fcntl(program, F_SETFL, 0L), "fcntl\\(\\).*not the library's");
  EXPECT_DEATH(event_checked_fcntl(closed_eventfd(), F_DUPFD_CLOEXEC, 3L),
               "fcntl\\(\\).*closed by the library");
}

TEST(CheckedCallTest, AsksForTheFlagsOfAnyDescriptor) {
  const Pipe pipe = make_pipe();
  EXPECT_GE(event_checked_fcntl(pipe.reader.get(), F_GETFL, 0L), 0);
  EXPECT_EQ(event_checked_fcntl(closed_eventfd(), F_GETFL, 0L), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST(CheckedCallTest, EndsWhenASignalIsSentThroughSomethingElseThanAPidfd) {
  const int number = eventfd_of_the_library();
  EXPECT_DEATH(event_checked_syscall(SYS_pidfd_send_signal, number, 0, nullptr, 0),
               "pidfd_send_signal\\(\\).*which is an eventfd");
  event_checked_close(number);
}

TEST(CheckedCallTest, DoesNotGiveOutAgainWhatTheLibraryHasJustClosed) {
  const int number = closed_eventfd();
  for (int i = 0; i < 20; ++i) {
    const Pipe pipe = make_pipe();
    EXPECT_NE(pipe.reader.get(), number);
    EXPECT_NE(pipe.writer.get(), number);
  }
  EXPECT_EQ(::write(number, "x", 1), -1);
  EXPECT_EQ(errno, EBADF) << "it looks closed";
}

TEST(CheckedCallTest, GoesOnForWhatAProgramClosedBehindTheLibrarysBack) {
  const int set = event_checked_epoll_create1(EPOLL_CLOEXEC);
  EXPECT_EQ(add(set, closed_number()), -1);
  EXPECT_EQ(errno, EBADF);

  const int taken = eventfd_of_the_library();
  ::close(taken);
  EXPECT_EQ(write_to(taken), -1);
  EXPECT_EQ(errno, EBADF);
  const Pipe pipe = make_pipe();
  EXPECT_EQ(::dup2(pipe.writer.get(), set), set);
  epoll_event ready{};
  EXPECT_EQ(event_checked_epoll_wait(set, &ready, 1, 0), -1);
  EXPECT_EQ(errno, EINVAL);
  event_checked_close(set);
}

}  // namespace
}  // namespace event_cpp::test
