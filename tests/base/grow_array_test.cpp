// The array that grows by realloc(): its elements, and how much room it takes.
#include "base/grow_array.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <new>
#include <vector>

#include "support/seeded_random.hpp"

namespace event_cpp::test {
namespace {

using Numbers = detail::GrowArray<std::uint64_t>;

TEST(GrowArrayTest, IsEmptyAndHasNoMemoryAtFirst) {
  const Numbers array;

  EXPECT_TRUE(array.empty());
  EXPECT_EQ(array.size(), 0U);
  EXPECT_EQ(array.capacity(), 0U);
  EXPECT_EQ(array.data(), nullptr);
}

TEST(GrowArrayTest, HoldsWhatAVectorHoldsAfterAnyPushesAndPops) {
  for (const unsigned seed : kSeeds) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    Numbers array;
    std::vector<std::uint64_t> model;
    for (std::uint64_t step = 0; step < 20'000; ++step) {
      if (model.empty() || !random.one_in(3)) {
        array.push_back(step);
        model.push_back(step);
      } else {
        array.pop_back();
        model.pop_back();
      }
      ASSERT_EQ(array.size(), model.size());
      ASSERT_GE(array.capacity(), array.size());
      ASSERT_TRUE(model.empty() || array[array.size() - 1] == model.back());
    }
    EXPECT_EQ(std::vector(array.begin(), array.end()), model);
  }
}

TEST(GrowArrayTest, KeepsItsMemoryWhenItIsCleared) {
  Numbers array;
  for (std::uint64_t i = 0; i < 100; ++i) array.push_back(i);
  const std::size_t capacity = array.capacity();

  array.clear();

  EXPECT_TRUE(array.empty());
  EXPECT_EQ(array.capacity(), capacity);
}

TEST(GrowArrayTest, ReservesExactlyWhatItIsAskedFor) {
  Numbers array;
  array.push_back(7);

  array.reserve(1000);
  EXPECT_EQ(array.capacity(), 1000U);
  array.reserve(10);
  EXPECT_EQ(array.capacity(), 1000U) << "it never gets smaller";
  EXPECT_EQ(array[0], 7U);
}

TEST(GrowArrayTest, DoesNotMoveItsElementsWithinTheRoomThatWasReserved) {
  Numbers array;
  array.reserve(1000);
  const std::uint64_t* const data = array.data();

  for (std::uint64_t i = 0; i < 1000; ++i) array.push_back(i);

  EXPECT_EQ(array.data(), data);
  EXPECT_EQ(array.capacity(), 1000U);
}

TEST(GrowArrayTest, RoundsUpToAtLeastWhatIsNeededAndNeverBackwards) {
  std::size_t last = 0;
  for (std::size_t count = 0; count < 100'000; ++count) {
    const std::size_t rounded = Numbers::round_up(count);
    ASSERT_GE(rounded, count);
    ASSERT_GE(rounded, last);
    last = rounded;
  }
  EXPECT_EQ(Numbers::round_up(0), 16U);
  EXPECT_EQ(Numbers::round_up(16), 16U);
  EXPECT_EQ(Numbers::round_up(33), 34U);
  EXPECT_EQ(Numbers::round_up(1'000'000), 1'015'808U);
}

TEST(GrowArrayTest, WastesAtMostASixteenth) {
  for (std::size_t count = 16; count < 100'000; ++count) {
    ASSERT_LE((Numbers::round_up(count) - count) * 16, count) << count;
  }
}

TEST(GrowArrayTest, GrowsInFewSteps) {
  Numbers array;
  std::size_t steps = 0;
  for (std::uint64_t i = 0; i < 1'000'000; ++i) {
    const std::size_t capacity = array.capacity();
    array.push_back(i);
    if (array.capacity() != capacity) ++steps;
  }

  EXPECT_LE(steps, 300U) << "sixteen to each doubling";
}

TEST(GrowArrayTest, ThrowsBadAllocForMoreThanMemoryHoldsAndKeepsWhatItHas) {
  constexpr std::size_t kTooMany = std::numeric_limits<std::size_t>::max() / 8 + 1;
  Numbers array;
  array.push_back(7);
  const std::size_t capacity = array.capacity();

  EXPECT_THROW(array.reserve(kTooMany), std::bad_alloc);
  EXPECT_THROW(array.make_room(kTooMany), std::bad_alloc);

  EXPECT_EQ(array.capacity(), capacity);
  EXPECT_EQ(array.size(), 1U);
  EXPECT_EQ(array[0], 7U);
}

TEST(GrowArrayTest, FreesWhatIsFarBeyondWhatIsUsed) {
  detail::GrowArray<int> array;
  for (int i = 0; i < 100'000; ++i) array.push_back(i);
  array.shrink(1000);
  EXPECT_GE(array.capacity(), 100'000U) << "it is in use";

  array.truncate(20'000);
  array.shrink(1000);
  EXPECT_LT(array.capacity(), 50'000U);
  EXPECT_GE(array.capacity(), 40'000U);
  EXPECT_EQ(array[19'999], 19'999);

  array.clear();
  array.shrink(1000);
  EXPECT_EQ(array.capacity(), 1000U);
  array.push_back(7);
  EXPECT_EQ(array[0], 7);
}

}  // namespace
}  // namespace event_cpp::test
