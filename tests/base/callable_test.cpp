// Storage for a callable of any type: which are stored inside, and that each lives once.
#include "event/detail/callable.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>

#include "support/failing_new.hpp"
#include "support/tracked.hpp"

namespace event_cpp::test {
namespace {

using detail::Storage;
using detail::Stored;

struct TwoPointers {
  void* first;
  void* second;
};
struct ThreePointers {
  void* pointers[3];
};
struct OverAligned {
  alignas(2 * alignof(void*)) char byte;
};
struct ThrowsWhenMoved {
  ThrowsWhenMoved() = default;
  ThrowsWhenMoved(ThrowsWhenMoved&&) noexcept(false) {}
};
struct NotTrivial {
  std::shared_ptr<int> shared;
};

static_assert(sizeof(Storage) == 2 * sizeof(void*));
static_assert(Stored<TwoPointers>::kInline && Stored<TwoPointers>::kTrivial);
static_assert(Stored<void (*)()>::kInline && Stored<void (*)()>::kTrivial);
static_assert(Stored<NotTrivial>::kInline && !Stored<NotTrivial>::kTrivial);
static_assert(!Stored<ThreePointers>::kInline && !Stored<ThreePointers>::kTrivial);
static_assert(sizeof(OverAligned) <= sizeof(Storage) && !Stored<OverAligned>::kInline);
static_assert(!Stored<ThrowsWhenMoved>::kInline);

struct LargeTracked : Tracked {
  using Tracked::Tracked;
  std::array<void*, 4> more{};
};

template <class F>
class StoredCallable : public testing::Test {};
using TrackedTypes = testing::Types<Tracked, LargeTracked>;
TYPED_TEST_SUITE(StoredCallable, TrackedTypes);

TYPED_TEST(StoredCallable, IsDestroyedOnce) {
  int alive = 0;
  Storage storage;

  Stored<TypeParam>::create(storage, TypeParam(alive));
  EXPECT_EQ(alive, 1);
  EXPECT_EQ(Stored<TypeParam>::get(storage).alive, &alive);

  Stored<TypeParam>::destroy(storage);
  EXPECT_EQ(alive, 0);
}

TYPED_TEST(StoredCallable, IsCopiedFromAnLvalue) {
  int alive = 0;
  const TypeParam original(alive);
  Storage storage;

  Stored<TypeParam>::create(storage, original);
  EXPECT_EQ(alive, 2);

  Stored<TypeParam>::destroy(storage);
  EXPECT_EQ(alive, 1);
}

TYPED_TEST(StoredCallable, IsOneAfterItWasMovedElsewhere) {
  int alive = 0;
  Storage from;
  Storage to;
  Stored<TypeParam>::create(from, TypeParam(alive));

  Stored<TypeParam>::relocate(from, to);
  EXPECT_EQ(alive, 1);
  EXPECT_EQ(Stored<TypeParam>::get(to).alive, &alive);

  Stored<TypeParam>::destroy(to);
  EXPECT_EQ(alive, 0);
}

TEST(StoredCallableTest, IsAllocatedOnceForALargeOneAndNeverForASmallOne) {
  if (!FailingNew::works()) GTEST_SKIP() << "operator new cannot be counted here";
  Storage small;
  Storage large;
  const CountingNew calls;

  Stored<TwoPointers>::create(small, TwoPointers{});
  EXPECT_EQ(calls.count(), 0U);
  Stored<ThreePointers>::create(large, ThreePointers{});
  EXPECT_EQ(calls.count(), 1U);

  Stored<ThreePointers>::destroy(large);
}

TEST(StoredCallableTest, StaysWhereItIsWhenALargeOneIsMoved) {
  Storage from;
  Storage to;
  Stored<ThreePointers>::create(from, ThreePointers{});
  const ThreePointers* const place = &Stored<ThreePointers>::get(from);

  Stored<ThreePointers>::relocate(from, to);

  EXPECT_EQ(&Stored<ThreePointers>::get(to), place);
  Stored<ThreePointers>::destroy(to);
}

TEST(StoredCallableTest, IsAlignedAsTheCallableAsksFor) {
  Storage storage;
  Stored<OverAligned>::create(storage, OverAligned{});

  EXPECT_EQ(
      reinterpret_cast<std::uintptr_t>(&Stored<OverAligned>::get(storage)) % alignof(OverAligned),
      0U);
  Stored<OverAligned>::destroy(storage);
}

TEST(StoredCallableTest, IsGivenBackIfTheCallableCannotBeCopied) {
  struct Uncopyable {
    Uncopyable() = default;
    Uncopyable(const Uncopyable&) { throw 1; }
    ThreePointers large{};
  };
  const Uncopyable original;
  Storage storage;

  EXPECT_THROW(Stored<Uncopyable>::create(storage, original), int);
}

}  // namespace
}  // namespace event_cpp::test
