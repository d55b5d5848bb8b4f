// What a build is checked with does find what it is for. Each test makes a mistake in a process of
// its own, which must not survive it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <thread>
#include <vector>

#include "support/sanitizers.hpp"

namespace event_cpp::test {
namespace {

// What the compiler does not know, so that it can neither warn nor leave the mistake out.
volatile int unknown_one = 1;

#if EVENT_HAS_ASAN
volatile int* volatile somewhere = nullptr;

// A function of its own: nothing on the stack points to the memory any more.
[[gnu::noinline]] void leak() {
  somewhere = new int(unknown_one);
  somewhere = nullptr;
}

TEST(AddressSanitizerTest, EndsAProgramThatReadsWhatItFreed) {
  const auto read_what_was_freed = [] {
    somewhere = new int(unknown_one);
    delete somewhere;
    unknown_one = *somewhere;
  };
  EXPECT_DEATH(read_what_was_freed(), "heap-use-after-free");
}

TEST(LeakSanitizerTest, FailsAProgramThatLosesMemory) {
  const auto lose_memory = [] {
    for (int i = 0; i < 100; ++i) leak();
    std::exit(0);
  };
  EXPECT_DEATH(lose_memory(), "LeakSanitizer: detected memory leaks");
}

TEST(UndefinedBehaviourSanitizerTest, EndsAProgramWhoseNumbersOverflow) {
  const auto overflow = [] { unknown_one = std::numeric_limits<int>::max() + unknown_one; };
  EXPECT_DEATH(overflow(), "signed integer overflow");
}
#endif

#if EVENT_HAS_TSAN
TEST(ThreadSanitizerTest, EndsAProgramOfWhichTwoThreadsWriteTheSame) {
  const auto write_from_two_threads = [] {
    int shared = 0;
    std::thread other([&shared] { shared = unknown_one; });
    shared = unknown_one + 1;
    other.join();
    std::exit(0);
  };
  EXPECT_DEATH(write_from_two_threads(), "data race");
}
#endif

#ifdef _GLIBCXX_ASSERTIONS
TEST(AssertionOfTheLibraryTest, EndAProgramThatReadsBehindAVector) {
  const std::vector<int> items(3);
  const auto read_behind = [&items] {
    unknown_one = items[static_cast<std::size_t>(3 * unknown_one)];
  };
  EXPECT_DEATH(read_behind(), "");
}
#endif

#ifdef _GLIBCXX_DEBUG
TEST(DebugModeOfTheLibraryTest, EndsAProgramThatKeepsAnIteratorTooLong) {
  const auto use_an_old_iterator = [] {
    std::vector<int> items(3);
    const auto first = items.begin();
    items.reserve(items.capacity() + 1);
    unknown_one = *first;
  };
  EXPECT_DEATH(use_an_old_iterator(), "singular iterator");
}
#endif

}  // namespace
}  // namespace event_cpp::test
