// The descriptor that wakes a loop: readable once woken, and watched for edges it shows each time.
#include "sys/wakeup.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <thread>
#include <vector>

#include "poller/poller.hpp"
#include "support/printing.hpp"

namespace event_cpp::test {
namespace {

using detail::Wakeup;

bool readable(const Wakeup& wakeup) {
  pollfd polled{wakeup.fd(), POLLIN, 0};
  return ::poll(&polled, 1, 0) == 1 && (polled.revents & POLLIN) != 0;
}

// Brings a counter to where one more would not fit. A pipe has none, and refuses.
void fill_counter(const Wakeup& wakeup) {
  const std::uint64_t largest = ~std::uint64_t{0} - 1;
  wakeup.drain();
  static_cast<void>(!::write(wakeup.fd(), &largest, sizeof largest));
}

TEST(WakeupTest, IsReadableAfterItWokeAndNotAfterItWasDrained) {
  const Wakeup wakeup;
  EXPECT_FALSE(readable(wakeup));

  wakeup.wake();
  EXPECT_TRUE(readable(wakeup));
  wakeup.drain();
  EXPECT_FALSE(readable(wakeup));
}

TEST(WakeupTest, IsDrainedAtOnceOfAnyNumberOfWakes) {
  const Wakeup wakeup;
  for (int i = 0; i < 10'000; ++i) wakeup.wake();

  wakeup.drain();

  EXPECT_FALSE(readable(wakeup));
}

TEST(WakeupTest, DoesNotBlockWhenThereIsNothingToDrain) {
  const Wakeup wakeup;

  wakeup.drain();

  EXPECT_FALSE(readable(wakeup));
}

TEST(WakeupTest, NeverBlocksHoweverManyWakesNobodyDrains) {
  const Wakeup wakeup;
  fill_counter(wakeup);

  for (int i = 0; i < 100'000; ++i) wakeup.wake();

  EXPECT_TRUE(readable(wakeup));
}

TEST(WakeupTest, KeepsErrno) {
  const Wakeup wakeup;
  fill_counter(wakeup);
  errno = ENOTRECOVERABLE;

  wakeup.wake();

  EXPECT_EQ(errno, ENOTRECOVERABLE);
}

TEST(WakeupTest, ClosesOnExecAndDoesNotBlock) {
  const Wakeup wakeup;

  EXPECT_NE(::fcntl(wakeup.fd(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(::fcntl(wakeup.fd(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(WakeupTest, ClosesItsDescriptor) {
  int fd = -1;
  {
    const Wakeup wakeup;
    fd = wakeup.fd();
  }
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
}

TEST(WakeupTest, ShowsEachWakeToAWatchForEdges) {
  for (const Backend kind : detail::compiled_pollers()) {
    const auto backend = detail::make_poller(kind);
    if (!any(backend->traits().supported & Events::edge)) continue;
    SCOPED_TRACE(to_string(kind));
    const Wakeup wakeup;
    detail::ReadyBatch batch(backend->traits().kernel_entry);
    ASSERT_EQ(backend->add(wakeup.fd(), 1, Events::read | Events::edge), 0);

    const auto reports = [&] {
      EXPECT_EQ(backend->wait(TimePoint::max(), false, batch), 0);
      batch.take_all();
      return batch.size();
    };
    for (int i = 0; i < 100; ++i) {
      if (i % 10 == 9) {
        fill_counter(wakeup);
        reports();
      }
      wakeup.wake();
      ASSERT_EQ(reports(), 1U) << i;
      ASSERT_EQ(reports(), 0U) << i;
    }
  }
}

TEST(WakeupTest, MayBeWokenByManyThreadsWhileItIsDrained) {
  const Wakeup wakeup;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 5'000; ++n) wakeup.wake();
    });
  }
  for (int n = 0; n < 5'000; ++n) wakeup.drain();
  for (std::thread& thread : threads) thread.join();

  wakeup.drain();
  EXPECT_FALSE(readable(wakeup));
  wakeup.wake();
  EXPECT_TRUE(readable(wakeup));
}

const Wakeup* woken_by_signal = nullptr;

TEST(WakeupTest, WakesFromASignalHandler) {
  const Wakeup wakeup;
  woken_by_signal = &wakeup;
  const auto before = std::signal(SIGUSR1, [](int) { woken_by_signal->wake(); });

  std::raise(SIGUSR1);

  std::signal(SIGUSR1, before);
  EXPECT_TRUE(readable(wakeup));
}

}  // namespace
}  // namespace event_cpp::test
