// Memory for coroutine frames, and for what their waits need.
#pragma once

#include <array>
#include <cstddef>
#include <new>

#include "event/detail/export.hpp"

namespace event_cpp::co::detail {

// With the address sanitizer frames are not pooled, so that it detects each use of a freed frame.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kReuse = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kReuse = false;
#else
constexpr bool kReuse = true;
#endif
#else
constexpr bool kReuse = true;
#endif

// Before version 17 clang assumes that a thread-local variable has the same address before and
// after a co_await, although resume_on() may have changed the thread. With it the pool is not
// inlined.
#if defined(__clang__) && __clang_major__ < 17
constexpr bool kInlinePool = false;
#else
constexpr bool kInlinePool = true;
#endif

// Sizes are rounded up to 8, 24, 40 and so on: with the 8 bytes that malloc adds they are multiples
// of the alignment, and nothing is lost.
constexpr std::size_t kBlockClasses = 64;
constexpr std::size_t block_class(std::size_t size) noexcept { return (size + 7) / 16; }
constexpr std::size_t block_size(std::size_t index) noexcept { return 16 * index + 8; }
static_assert(block_size(block_class(56)) == 56 && block_size(block_class(57)) == 72);

struct Block {
  Block* next;
};

// Free blocks of one size. `room` is how many more it may keep. It is zero until the thread has
// freed its first block, so that one test detects both a full list and a new thread.
struct FreeList {
  Block* first;
  std::size_t room;

  void keep(void* block) noexcept {
    first = ::new (block) Block{first};
    --room;
  }
};

// One array for each thread. Without a constructor and a destructor, so that an access needs no
// check for initialization.
EVENT_API extern constinit thread_local std::array<FreeList, kBlockClasses> free_lists;

// For freeing when `room` is zero.
EVENT_API void keep_or_free(FreeList& list, void* block) noexcept;

// Allocates and frees blocks. Each thread keeps freed blocks of up to 1,016 bytes for reuse, at
// most 64 KiB of each size. A block may be freed by another thread than the one that allocated it.
// Always inline unless kInlinePool is false: the size of a frame is known at compile time, so most
// of the code is optimized away. Errors: throws std::bad_alloc. Cost: a few instructions if a block
// of that size is kept.
EVENT_API void* allocate_by_call(std::size_t size);
EVENT_API void deallocate_by_call(void* block, std::size_t size) noexcept;
[[gnu::always_inline]] inline void* allocate_inline(std::size_t size) {
  const std::size_t index = block_class(size);
  if (index >= kBlockClasses) return ::operator new(size);
  if constexpr (kReuse) {
    FreeList& list = free_lists[index];
    if (Block* const block = list.first) [[likely]] {
      list.first = block->next;
      ++list.room;
      return block;
    }
  }
  return ::operator new(block_size(index));
}
[[gnu::always_inline]] inline void deallocate_inline(void* block, std::size_t size) noexcept {
  const std::size_t index = block_class(size);
  if (!kReuse || index >= kBlockClasses) return ::operator delete(block);
  FreeList& list = free_lists[index];
  if (list.room == 0) [[unlikely]]
    return keep_or_free(list, block);
  list.keep(block);
}

[[gnu::always_inline]] inline void* allocate(std::size_t size) {
  if constexpr (!kInlinePool) return allocate_by_call(size);
  return allocate_inline(size);
}
[[gnu::always_inline]] inline void deallocate(void* block, std::size_t size) noexcept {
  if constexpr (!kInlinePool) return deallocate_by_call(block, size);
  return deallocate_inline(block, size);
}

// A base class for objects that are allocated from the pool.
struct Pooled {
  [[gnu::always_inline]] static void* operator new(std::size_t size) { return allocate(size); }
  [[gnu::always_inline]] static void operator delete(void* block, std::size_t size) noexcept {
    deallocate(block, size);
  }
};

}  // namespace event_cpp::co::detail
