// Memory for coroutine frames, and for what their waits need.
#pragma once

#include <cstddef>

#include "event/detail/export.hpp"

namespace event_cpp::co::detail {

// Allocates and frees blocks. Each thread keeps freed blocks of up to 1 KiB for reuse, at most
// 64 KiB of each size. A block may be freed by another thread than the one that allocated it.
// Errors: throws std::bad_alloc. Cost: a few instructions if a block of that size was kept.
EVENT_API void* allocate(std::size_t size);
EVENT_API void deallocate(void* block, std::size_t size) noexcept;

// A base class: objects come from the pool.
struct Pooled {
  static void* operator new(std::size_t size) { return allocate(size); }
  static void operator delete(void* block, std::size_t size) noexcept { deallocate(block, size); }
};

}  // namespace event_cpp::co::detail
