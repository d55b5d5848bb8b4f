// What one wait reports: how its room grows with what is ready.
#include <gtest/gtest.h>

#include <cstring>
#include <new>
#include <vector>

#include "backend/backend.hpp"
#include "support/failing_new.hpp"

namespace event_cpp::test {
namespace {

using detail::Batch;
using detail::Ready;

constexpr std::size_t kEntry = 12;

constexpr auto kIgnore = [](const Ready&) {};

// As a backend does that has so many reports.
void fill(Batch& batch, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    batch.push({Events::read, static_cast<int>(i), 1});
  }
  batch.finish(count);
}
void fill_up(Batch& batch) { fill(batch, batch.capacity()); }

std::vector<int> taken_from(Batch& batch) {
  std::vector<int> fds;
  batch.take([&](const Ready& report) { fds.push_back(report.fd); });
  return fds;
}

TEST(Batch, IsEmptyAtFirst) {
  Batch batch(kEntry);

  EXPECT_EQ(batch.size(), 0U);
  EXPECT_EQ(batch.capacity(), 64U);
  EXPECT_TRUE(batch.taken());
  EXPECT_FALSE(batch.full());
  EXPECT_FALSE(batch.expired);
  batch.take([](const Ready&) { FAIL(); });
}

TEST(Batch, GivesEachReportOnceInOrder) {
  Batch batch(kEntry);
  fill(batch, 3);
  EXPECT_FALSE(batch.taken());

  EXPECT_EQ(taken_from(batch), (std::vector{0, 1, 2}));
  EXPECT_TRUE(batch.taken());
  EXPECT_EQ(taken_from(batch), std::vector<int>{});
}

TEST(Batch, GivesAReportAgainThatCouldNotBeTaken) {
  Batch batch(kEntry);
  fill(batch, 4);

  EXPECT_THROW(batch.take([](const Ready& report) {
    if (report.fd == 2) throw 1;
  }),
               int);

  EXPECT_FALSE(batch.taken());
  EXPECT_EQ(taken_from(batch), (std::vector{2, 3}));
}

TEST(Batch, ShowsWhatWasPushed) {
  Batch batch(kEntry);

  batch.push({Events::write | Events::urgent, 4, 8});
  batch.finish(1);

  ASSERT_EQ(batch.size(), 1U);
  EXPECT_EQ(batch.ready()[0].what(Events::none), Events::write | Events::urgent);
  EXPECT_EQ(batch.ready()[0].fd, 4);
  EXPECT_EQ(batch.ready()[0].generation, 8U);
}

TEST(Batch, MayHaveAnExpiredDeadlineWhenItIsFull) {
  Batch batch(kEntry);
  fill(batch, 63);
  EXPECT_FALSE(batch.expired);

  batch.start();
  fill(batch, 64);
  EXPECT_TRUE(batch.expired);
}

TEST(Batch, KeepsThatADeadlineExpiredWhenItIsNotFull) {
  Batch batch(kEntry);
  batch.expired = true;

  fill(batch, 1);

  EXPECT_TRUE(batch.expired);
}

TEST(Batch, DoublesItsRoomAfterItWasFullUpToALimit) {
  Batch batch(kEntry);
  for (const std::size_t capacity : {64U, 128U, 256U, 512U, 1024U, 2048U, 4096U, 4096U, 4096U}) {
    ASSERT_EQ(batch.capacity(), capacity);
    fill_up(batch);
    ASSERT_TRUE(batch.full());

    batch.take(kIgnore);
    batch.start();

    ASSERT_EQ(batch.size(), 0U);
    ASSERT_TRUE(batch.taken());
  }
}

TEST(Batch, AllocatesNothingOnceItHasAllTheRoomItMayHave) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be counted here";
  Batch batch(kEntry);
  batch.resize(4096);
  fill_up(batch);
  const CountingNew calls;

  batch.take(kIgnore);
  batch.start();

  EXPECT_EQ(calls.count(), 0U);
}

TEST(Batch, KeepsItsRoomIfItWasNotFull) {
  Batch batch(kEntry);
  fill(batch, batch.capacity() - 1);
  batch.take(kIgnore);

  batch.start();

  EXPECT_EQ(batch.capacity(), 64U);
}

TEST(Batch, HasRoomForTheKernelsEntriesTooWheneverItGrows) {
  Batch batch(kEntry);
  for (int i = 0; i < 8; ++i) {
    std::memset(batch.kernel_entries(), 0xff, batch.capacity() * kEntry);
    fill_up(batch);
    batch.take(kIgnore);
    batch.start();
  }
  EXPECT_EQ(batch.capacity(), 4096U);
}

TEST(Batch, TakesTheSizeItIsGivenWithinTheLimit) {
  Batch batch(0);

  EXPECT_TRUE(batch.resize(1000));
  EXPECT_EQ(batch.capacity(), 1000U);
  EXPECT_TRUE(batch.resize(1'000'000));
  EXPECT_EQ(batch.capacity(), 4096U);
}

TEST(Batch, StaysAsItIsWithoutMemory) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  for (std::size_t successes = 0; successes < 2; ++successes) {
    Batch batch(kEntry);
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

TEST(Batch, StartsAnewWithTheRoomItHasIfThereIsNoMemoryForMore) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  Batch batch(kEntry);
  fill_up(batch);
  {
    const FailingNew now;
    batch.take(kIgnore);
    batch.start();
  }
  EXPECT_EQ(batch.capacity(), 64U);
  EXPECT_EQ(batch.size(), 0U);
  fill_up(batch);
}

TEST(Batch, CannotBeMadeWithoutMemory) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  for (std::size_t successes = 0; successes < 2; ++successes) {
    const FailingNew after(successes);
    EXPECT_THROW(Batch{kEntry}, std::bad_alloc);
  }
}

}  // namespace
}  // namespace event_cpp::test
