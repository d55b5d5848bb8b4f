// Arrays in pages: nothing ever moves, and only what is used costs memory.
#include "base/paged_array.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <new>
#include <set>
#include <utility>
#include <vector>

#include "support/failing_new.hpp"
#include "support/seeded_random.hpp"

namespace event_cpp::test {
namespace {

using Array = detail::PagedArray<int>;
constexpr std::size_t kPage = Array::kPageSize;

TEST(PagedArrayTest, FindsNothingWhereNoPageWasMade) {
  Array array;
  EXPECT_EQ(array.find(0), nullptr);

  array.make(3 * kPage) = 7;

  EXPECT_EQ(array.find(0), nullptr);
  EXPECT_EQ(array.find(3 * kPage - 1), nullptr);
  EXPECT_EQ(array.find(4 * kPage), nullptr);
  ASSERT_NE(array.find(3 * kPage), nullptr);
  EXPECT_EQ(*array.find(3 * kPage), 7);
}

TEST(PagedArrayTest, MakesNewElementsWithTheirInitialValue) {
  Array array;

  array.make(kPage + 1) = 5;

  EXPECT_EQ(array[kPage], 0);
  EXPECT_EQ(array[kPage + 2], 0);
  EXPECT_EQ(array[2 * kPage - 1], 0);
}

TEST(PagedArrayTest, DoesNotTouchAnElementThatIsMadeAgain) {
  Array array;
  array.make(9) = 4;

  array.make(10);
  array.reserve(kPage);

  EXPECT_EQ(array.make(9), 4);
}

TEST(PagedArrayTest, NeverMovesAnElement) {
  Array array;
  std::vector<const int*> places;
  for (std::size_t i = 0; i < 20 * kPage; ++i) places.push_back(&array.make(i));

  for (std::size_t i = 0; i < places.size(); ++i) ASSERT_EQ(array.find(i), places[i]);
}

TEST(PagedArrayTest, HoldsWhatAMapHolds) {
  for (const unsigned seed : kSeeds) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    Array array;
    std::map<std::size_t, int> model;
    for (int step = 1; step < 5'000; ++step) {
      const std::size_t i = random.below(100 * kPage);
      array.make(i) = step;
      model[i] = step;
    }
    std::map<std::size_t, int> seen;
    array.for_each([&](std::size_t i, int value) {
      if (value != 0) seen[i] = value;
    });
    EXPECT_EQ(seen, model);
  }
}

TEST(PagedArrayTest, GoesThroughTheElementsOfItsPagesInOrder) {
  Array array;
  array.make(2 * kPage);
  array.make(0);
  std::vector<std::size_t> indices;

  array.for_each([&](std::size_t i, int&) { indices.push_back(i); });

  ASSERT_EQ(indices.size(), 2 * kPage);
  EXPECT_TRUE(std::is_sorted(indices.begin(), indices.end()));
  EXPECT_EQ(indices.front(), 0U);
  EXPECT_EQ(indices[kPage], 2 * kPage);
}

TEST(PagedArrayTest, ReservesPagesThatAreNotMadeAgain) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be counted here";
  Array array;
  array.reserve(2 * kPage + 1);
  const CountingNew calls;

  for (std::size_t i = 0; i < 3 * kPage; ++i) array.make(i) = 1;

  EXPECT_EQ(calls.count(), 0U);
}

TEST(PagedArrayTest, MakesOnePageForALoneElementFarOut) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be counted here";
  Array array;
  const CountingNew calls;

  array.make(1'000'000) = 1;

  EXPECT_LE(calls.count(), 2U) << "the page, and the list of pages";
}

TEST(PagedArrayTest, SeldomMovesTheListOfItsPages) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be counted here";
  constexpr std::size_t kPages = 2'000;
  Array array;
  const CountingNew calls;

  array.reserve(kPages * kPage);

  EXPECT_LE(calls.count(), kPages + 30);
}

TEST(PagedArrayTest, IsAsBeforeIfThereIsNoMemoryForAPage) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  for (std::size_t successes = 0; successes < 2; ++successes) {
    Array array;
    array.make(1) = 5;
    {
      const FailingNew after(successes);
      EXPECT_THROW(array.make(10 * kPage), std::bad_alloc);
    }
    EXPECT_EQ(array.find(10 * kPage), nullptr);
    EXPECT_EQ(array[1], 5);
    array.make(10 * kPage) = 6;
    EXPECT_EQ(array[10 * kPage], 6);
  }
}

struct Numbered {
  int value = 0;
  std::uint32_t next_free = 0;
};
using Pool = detail::RecordPool<Numbered>;

TEST(RecordPoolTest, NeverHandsOutANumberThatIsInUse) {
  for (const unsigned seed : kSeeds) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    Pool pool;
    std::vector<std::pair<std::uint32_t, int>> used;
    std::set<std::uint32_t> numbers;
    for (int step = 0; step < 10'000; ++step) {
      if (used.empty() || !random.one_in(3)) {
        const std::uint32_t number = pool.take();
        ASSERT_TRUE(numbers.insert(number).second) << number;
        pool[number].value = step;
        used.emplace_back(number, step);
      } else {
        std::swap(random.of(used), used.back());
        ASSERT_EQ(pool[used.back().first].value, used.back().second);
        numbers.erase(used.back().first);
        pool.give_back(used.back().first);
        used.pop_back();
      }
    }
    for (const auto& [number, value] : used) EXPECT_EQ(pool[number].value, value);
  }
}

TEST(RecordPoolTest, HandsOutWhatWasGivenBackBeforeAnythingNew) {
  Pool pool;
  for (std::uint32_t i = 0; i < 5; ++i) EXPECT_EQ(pool.take(), i);

  pool.give_back(1);
  pool.give_back(3);

  EXPECT_EQ((std::set{pool.take(), pool.take()}), (std::set<std::uint32_t>{1, 3}));
  EXPECT_EQ(pool.take(), 5U);
}

TEST(RecordPoolTest, IsAsBeforeIfThereIsNoMemoryForARecord) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be made to fail here";
  Pool pool;
  {
    const FailingNew now;
    EXPECT_THROW(pool.take(), std::bad_alloc);
  }
  EXPECT_EQ(pool.take(), 0U);
}

TEST(RecordPoolTest, FreesItsPagesOnceNoRecordIsHandedOut) {
  struct Record {
    std::uint32_t next_free;
  };
  detail::RecordPool<Record> pool;
  for (int i = 0; i < 1000; ++i) pool.take();
  for (std::uint32_t i = 1; i < 1000; ++i) pool.give_back(i);
  pool.shrink(0);
  EXPECT_EQ(pool.take(), 999U) << "one is in use: they stay";
  pool.give_back(999);
  pool.give_back(0);

  pool.shrink(1000);
  EXPECT_EQ(pool.take(), 0U);
  pool.give_back(0);
  pool.shrink(999);
  EXPECT_EQ(pool.take(), 0U) << "numbered anew";
  EXPECT_EQ(pool.take(), 1U);
}

}  // namespace
}  // namespace event_cpp::test
