// Where the frames of coroutines come from.
#include "event/co/detail/frame_pool.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <thread>
#include <vector>

namespace event_cpp::co::detail {
namespace {

constexpr std::size_t kLargest = block_size(kBlockClasses - 1);

// Where frames are not reused there is nothing to test but that they are freed.
class FramePoolTest : public ::testing::Test {};

TEST_F(FramePoolTest, ReusesTheBlockThatWasFreedLastForTheSameSize) {
  if (!kReuse) GTEST_SKIP() << "the address sanitizer is there";
  void* const first = allocate(100);
  void* const second = allocate(100);
  deallocate(first, 100);
  deallocate(second, 100);
  EXPECT_EQ(allocate(100), second);
  EXPECT_EQ(allocate(98), first) << "sizes of one class share their blocks";
  deallocate(first, 98);
  deallocate(second, 100);
}

TEST_F(FramePoolTest, GivesBlocksOfTheSizeThatWasAskedFor) {
  for (std::size_t size = 1; size <= kLargest + 1; ++size) {
    ASSERT_GE(block_size(block_class(size)), size);
    ASSERT_LT(block_size(block_class(size)), size + 16);
  }
  EXPECT_EQ(block_class(kLargest), kBlockClasses - 1);
  EXPECT_EQ(block_class(kLargest + 1), kBlockClasses);
}

TEST_F(FramePoolTest, KeepsAtMost64KiBOfASize) {
  if (!kReuse) GTEST_SKIP() << "the address sanitizer is there";
  std::thread([] {
    std::vector<void*> blocks;
    for (int i = 0; i < 100; ++i) blocks.push_back(allocate(kLargest));
    for (void* const block : blocks) deallocate(block, kLargest);
    std::size_t kept = 0;
    for (const Block* block = free_lists[kBlockClasses - 1].first; block != nullptr;
         block = block->next) {
      ++kept;
    }
    EXPECT_EQ(kept, (std::size_t{64} << 10) / kLargest);
  }).join();
}

TEST_F(FramePoolTest, TakesABlockFromAnotherThreadAndFreesItWithThatThread) {
  void* const block = allocate(200);
  std::thread([block] { deallocate(block, 200); }).join();
}

TEST_F(FramePoolTest, KeepsNoBlockOfMoreThanItsLargestSize) {
  void* const block = allocate(kLargest + 1);
  deallocate(block, kLargest + 1);
  for (const FreeList& list : free_lists) EXPECT_NE(list.first, block);
}

}  // namespace
}  // namespace event_cpp::co::detail
