// The C library's memory, counted and made to fail. operator new is made of malloc, so it fails as
// well. Not in builds with a sanitizer, which has a memory of its own.
#include <cerrno>
#include <cstddef>

#include "calls.hpp"

using event_cpp::faults::Call;
using event_cpp::faults::count_block;
using event_cpp::faults::fails;

extern "C" {

// By these names they can be called before anything can be looked up.
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* memory);

[[gnu::visibility("default")]] void* malloc(std::size_t size) {
  if (fails(Call::malloc)) return nullptr;
  void* const memory = __libc_malloc(size);
  if (memory != nullptr) count_block(1);
  return memory;
}

[[gnu::visibility("default")]] void* calloc(std::size_t count, std::size_t size) {
  if (fails(Call::calloc)) return nullptr;
  void* const memory = __libc_calloc(count, size);
  if (memory != nullptr) count_block(1);
  return memory;
}

[[gnu::visibility("default")]] void* realloc(void* memory, std::size_t size) {
  if (fails(Call::realloc)) return nullptr;
  void* const moved = __libc_realloc(memory, size);
  if (memory == nullptr && moved != nullptr) count_block(1);
  return moved;
}

[[gnu::visibility("default")]] void* aligned_alloc(std::size_t alignment, std::size_t size) {
  if (fails(Call::malloc)) return nullptr;
  void* const memory = __libc_memalign(alignment, size);
  if (memory != nullptr) count_block(1);
  return memory;
}

[[gnu::visibility("default")]] void free(void* memory) {
  if (memory == nullptr) return;
  count_block(-1);
  const int error = errno;  // as it was, whatever the C library's does
  __libc_free(memory);
  errno = error;
}

}  // extern "C"
