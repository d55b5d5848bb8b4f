// What one wait reports: how its room grows with what is ready.
#include <gtest/gtest.h>

#include <cstring>
#include <new>
#include <vector>

#include "poller/poller.hpp"
#include "support/failing_new.hpp"

namespace event_cpp::test {
namespace {

using detail::ReadyBatch;
using detail::ReadyEvent;

constexpr std::size_t kEntry = 12;

constexpr auto kIgnore = [](const ReadyEvent&) {};

// As a backend does that has so many reports.
void fill(ReadyBatch& batch, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    batch.push({Events::read, static_cast<int>(i), 1});
  }
  batch.finish(count);
}
void fill_up(ReadyBatch& batch) { fill(batch, batch.capacity()); }

template <class F>
void take(ReadyBatch& batch, F f) {
  for (ReadyBatch::Taking report(batch); !report.at_end(); ++report) f(*report);
}

std::vector<int> taken_from(ReadyBatch& batch) {
  std::vector<int> fds;
  take(batch, [&](const ReadyEvent& report) { fds.push_back(report.fd); });
  return fds;
}

TEST(ReadyBatchTest, IsEmptyAtFirst) {
  ReadyBatch batch(kEntry);

  EXPECT_EQ(batch.size(), 0U);
  EXPECT_EQ(batch.capacity(), 64U);
  EXPECT_TRUE(batch.taken());
  EXPECT_FALSE(batch.full());
  EXPECT_FALSE(batch.expired);
  take(batch, [](const ReadyEvent&) { FAIL(); });
}

TEST(ReadyBatchTest, GivesEachReportOnceInOrder) {
  ReadyBatch batch(kEntry);
  fill(batch, 3);
  EXPECT_FALSE(batch.taken());

  EXPECT_EQ(taken_from(batch), (std::vector{0, 1, 2}));
  EXPECT_TRUE(batch.taken());
  EXPECT_EQ(taken_from(batch), std::vector<int>{});
}

TEST(ReadyBatchTest, GivesAReportAgainThatCouldNotBeTaken) {
  ReadyBatch batch(kEntry);
  fill(batch, 4);

  const auto fail_at_2 = [](const ReadyEvent& report) {
    if (report.fd == 2) throw 1;
  };
  EXPECT_THROW(take(batch, fail_at_2), int);

  EXPECT_FALSE(batch.taken());
  EXPECT_EQ(taken_from(batch), (std::vector{2, 3}));
}

TEST(ReadyBatchTest, ShowsWhatWasPushed) {
  ReadyBatch batch(kEntry);

  batch.push({Events::write | Events::urgent, 4, 8});
  batch.finish(1);

  ASSERT_EQ(batch.size(), 1U);
  EXPECT_EQ(batch.ready()[0].what(Events::none), Events::write | Events::urgent);
  EXPECT_EQ(batch.ready()[0].fd, 4);
  EXPECT_EQ(batch.ready()[0].generation, 8U);
}

TEST(ReadyBatchTest, MayHaveAnExpiredDeadlineWhenItIsFull) {
  ReadyBatch batch(kEntry);
  fill(batch, 63);
  EXPECT_FALSE(batch.expired);

  batch.start();
  fill(batch, 64);
  EXPECT_TRUE(batch.expired);
}

TEST(ReadyBatchTest, KeepsThatADeadlineExpiredWhenItIsNotFull) {
  ReadyBatch batch(kEntry);
  batch.expired = true;

  fill(batch, 1);

  EXPECT_TRUE(batch.expired);
}

TEST(ReadyBatchTest, DoublesItsRoomAfterItWasFullUpToALimit) {
  ReadyBatch batch(kEntry);
  for (const std::size_t capacity : {64U, 128U, 256U, 512U, 1024U, 2048U, 4096U, 4096U, 4096U}) {
    ASSERT_EQ(batch.capacity(), capacity);
    fill_up(batch);
    ASSERT_TRUE(batch.full());

    take(batch, kIgnore);
    batch.start();

    ASSERT_EQ(batch.size(), 0U);
    ASSERT_TRUE(batch.taken());
  }
}

TEST(ReadyBatchTest, AllocatesNothingOnceItHasAllTheRoomItMayHave) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be counted here";
  ReadyBatch batch(kEntry);
  batch.resize(4096);
  fill_up(batch);
  const CountingNew calls;

  take(batch, kIgnore);
  batch.start();

  EXPECT_EQ(calls.count(), 0U);
}

TEST(ReadyBatchTest, KeepsItsRoomIfItWasNotFull) {
  ReadyBatch batch(kEntry);
  fill(batch, batch.capacity() - 1);
  take(batch, kIgnore);

  batch.start();

  EXPECT_EQ(batch.capacity(), 64U);
}

TEST(ReadyBatchTest, HasRoomForTheKernelsEntriesTooWheneverItGrows) {
  ReadyBatch batch(kEntry);
  for (int i = 0; i < 8; ++i) {
    std::memset(batch.kernel_entries(), 0xff, batch.capacity() * kEntry);
    fill_up(batch);
    take(batch, kIgnore);
    batch.start();
  }
  EXPECT_EQ(batch.capacity(), 4096U);
}

TEST(ReadyBatchTest, TakesTheSizeItIsGivenWithinTheLimit) {
  ReadyBatch batch(0);

  EXPECT_TRUE(batch.resize(1000));
  EXPECT_EQ(batch.capacity(), 1000U);
  EXPECT_TRUE(batch.resize(1'000'000));
  EXPECT_EQ(batch.capacity(), 4096U);
}

TEST(ReadyBatchTest, StaysAsItIsWithoutMemory) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  for (std::size_t successes = 0; successes < 2; ++successes) {
    ReadyBatch batch(kEntry);
    bool resized = true;
    {
      const FailingNew after(successes);
      resized = batch.resize(128);
    }
    EXPECT_FALSE(resized);
    EXPECT_EQ(batch.capacity(), 64U);
    std::memset(batch.kernel_entries(), 0xff, batch.capacity() * kEntry);
    fill_up(batch);
    EXPECT_EQ(batch.ready()[63].fd, 63);
  }
}

TEST(ReadyBatchTest, StartsAnewWithTheRoomItHasIfThereIsNoMemoryForMore) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  ReadyBatch batch(kEntry);
  fill_up(batch);
  {
    const FailingNew now;
    take(batch, kIgnore);
    batch.start();
  }
  EXPECT_EQ(batch.capacity(), 64U);
  EXPECT_EQ(batch.size(), 0U);
  fill_up(batch);
}

TEST(ReadyBatchTest, CannotBeMadeWithoutMemory) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  for (std::size_t successes = 0; successes < 2; ++successes) {
    const FailingNew after(successes);
    EXPECT_THROW(ReadyBatch{kEntry}, std::bad_alloc);
  }
}

}  // namespace
}  // namespace event_cpp::test
