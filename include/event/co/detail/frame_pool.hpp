// Memory for coroutine frames, and for what their waits need.
#pragma once

#include <array>
#include <cstddef>
#include <new>

#include "event/detail/export.hpp"

namespace event_cpp::co::detail {

// The address sanitizer is to see each use of a freed frame.
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

// Before version 17 clang takes a thread-local variable to be in the same place before and after a
// co_await, also where resume_on() has changed the thread. There the pool is behind a call.
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

// Blocks of one size. `room` is for so many more. There is none before the thread has freed its
// first block, so that one test finds both a list that is full and a thread that has yet to begin.
struct FreeList {
  Block* first;
  std::size_t room;

  void keep(void* block) noexcept {
    first = ::new (block) Block{first};
    --room;
  }
};

// Of each thread. Without a constructor and a destructor, so that using them costs no test.
EVENT_API extern constinit thread_local std::array<FreeList, kBlockClasses> free_lists;

// When the list has no room.
EVENT_API void keep_or_free(FreeList& list, void* block) noexcept;

// Allocates and frees blocks. Each thread keeps freed blocks of up to 1,016 bytes for reuse, at
// most 64 KiB of each size. A block may be freed by another thread than the one that allocated it.
// Always inline, but for kInlinePool: the size of a frame is known where it is made, and most of
// this goes away. Errors: throws std::bad_alloc. Cost: a few instructions if a block of that size
// was kept.
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

// A base class: objects come from the pool.
struct Pooled {
  [[gnu::always_inline]] static void* operator new(std::size_t size) { return allocate(size); }
  [[gnu::always_inline]] static void operator delete(void* block, std::size_t size) noexcept {
    deallocate(block, size);
  }
};

}  // namespace event_cpp::co::detail
