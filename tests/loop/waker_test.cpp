// What other threads ask of a loop, and how one that sleeps is woken: by its poller, or a
// descriptor.
#include "loop/waker.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "support/errors.hpp"

namespace event_cpp::test {
namespace {

using detail::Attention;
using detail::Waker;

// A kernel that watches nothing but wake-ups, or not even these.
class WakingPoller final : public detail::Poller {
 public:
  explicit WakingPoller(int error) : Poller({Backend::kqueue, Events::none}), error_(error) {}

  int add(int, std::uint32_t, Events) noexcept override { return EBADF; }
  int modify(int, std::uint32_t, Events, bool) noexcept override { return EBADF; }
  int remove(int) noexcept override { return EBADF; }
  int wait(TimePoint, bool, detail::ReadyBatch&) override { return 0; }
  int watch(detail::Source source, int ident) noexcept override {
    EXPECT_EQ(source, detail::Source::wakeup);
    EXPECT_EQ(ident, 0);
    ++watched;
    return error_;
  }
  void wake() const noexcept override { ++woken; }

  int watched = 0;
  mutable int woken = 0;

 private:
  const int error_;
};

bool is_readable(int fd) {
  pollfd polled{fd, POLLIN, 0};
  return ::poll(&polled, 1, 0) == 1;
}

TEST(WakerTest, LeavesItToAPollerThatWatchesWakeUps) {
  WakingPoller poller(0);
  Waker waker(poller);
  EXPECT_EQ(waker.fd(), -1);
  EXPECT_EQ(poller.watched, 1);

  ASSERT_TRUE(waker.attention().fall_asleep());
  waker.request(Attention::kPosted);

  EXPECT_EQ(poller.woken, 1);
}

TEST(WakerTest, WritesToADescriptorWhereThePollerWatchesNoWakeUps) {
  WakingPoller poller(ENOTSUP);
  Waker waker(poller);
  ASSERT_GE(waker.fd(), 0);
  EXPECT_FALSE(is_readable(waker.fd()));

  ASSERT_TRUE(waker.attention().fall_asleep());
  waker.request(Attention::kPosted);
  EXPECT_TRUE(is_readable(waker.fd()));
  waker.drain();
  EXPECT_FALSE(is_readable(waker.fd()));

  EXPECT_EQ(poller.woken, 0);
}

TEST(WakerTest, WakesALoopThatSleepsAndThatOnce) {
  WakingPoller poller(0);
  Waker waker(poller);

  waker.request(Attention::kSignalled);
  EXPECT_EQ(poller.woken, 0) << "it is awake";
  waker.attention().clear(Attention::kSignalled);
  ASSERT_TRUE(waker.attention().fall_asleep());
  waker.stop(Attention::kStop);
  waker.request(Attention::kPosted);

  EXPECT_EQ(poller.woken, 1);
  EXPECT_TRUE(waker.attention().test(Attention::kStop));
  EXPECT_TRUE(waker.attention().test(Attention::kPosted));
}

TEST(WakerTest, WritesToNoDescriptorThatIsNotItsOwnAnyMore) {
  WakingPoller poller(ENOTSUP);
  Waker waker(poller);
  const int fd = waker.fd();
  waker.give_up();

  waker.wake();
  EXPECT_FALSE(is_readable(fd));
  EXPECT_EQ(waker.reopen(), 0);
  waker.wake();

  EXPECT_TRUE(is_readable(waker.fd()));
  EXPECT_EQ(::close(fd), 0) << "it was left open";
}

TEST(WakerTest, WatchesWakeUpsAnewInTheChildOfAFork) {
  WakingPoller poller(0);
  Waker waker(poller);

  EXPECT_EQ(waker.reopen(), 0);

  EXPECT_EQ(poller.watched, 2);
}

TEST(WakerTest, ReportsAKernelThatRefuses) {
  WakingPoller poller(ENOMEM);
  EXPECT_EQ(thrown_by([&] { const Waker waker(poller); }), system_error(ENOMEM));
}

}  // namespace
}  // namespace event_cpp::test
