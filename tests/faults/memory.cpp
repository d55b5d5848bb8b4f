// The C library's memory, counted and made to fail. operator new is made of malloc, so it fails as
// well. Not in builds with a sanitizer, which has a memory of its own.
#include <malloc.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "calls.hpp"

using event_cpp::faults::Call;
using event_cpp::faults::count_memory;
using event_cpp::faults::fails;

namespace {

// With what the C library rounds it up to.
std::int64_t size_of(void* memory) {
  return static_cast<std::int64_t>(::malloc_usable_size(memory));
}

void* counted(void* memory) {
  if (memory != nullptr) count_memory(1, size_of(memory));
  return memory;
}

}  // namespace

extern "C" {

// By these names they can be called before anything can be looked up.
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* memory);

[[gnu::visibility("default")]] void* malloc(std::size_t size) noexcept {
  return fails(Call::malloc) ? nullptr : counted(__libc_malloc(size));
}

[[gnu::visibility("default")]] void* calloc(std::size_t count, std::size_t size) noexcept {
  return fails(Call::calloc) ? nullptr : counted(__libc_calloc(count, size));
}

[[gnu::visibility("default")]] void* realloc(void* memory, std::size_t size) noexcept {
  if (fails(Call::realloc)) return nullptr;
  const std::int64_t before = size_of(memory);
  void* const moved = __libc_realloc(memory, size);
  if (moved != nullptr) count_memory(memory == nullptr ? 1 : 0, size_of(moved) - before);
  return moved;
}

[[gnu::visibility("default")]] void* aligned_alloc(std::size_t alignment,
                                                   std::size_t size) noexcept {
  return fails(Call::malloc) ? nullptr : counted(__libc_memalign(alignment, size));
}

[[gnu::visibility("default")]] void free(void* memory) noexcept {
  if (memory == nullptr) return;
  count_memory(-1, -size_of(memory));
  const int error = errno;  // as it was, whatever the C library's does
  __libc_free(memory);
  errno = error;
}

}  // extern "C"
