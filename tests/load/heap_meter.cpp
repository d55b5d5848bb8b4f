// A library to preload: counts what a program has allocated and not freed, to the byte.
//
// What malloc_usable_size() says depends on which hole a block came from, so that the same blocks
// may sum up to something else; hence each block carries what was asked for in front of it.

#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "heap_counters.hpp"

extern "C" {
void* __libc_malloc(std::size_t);
void __libc_free(void*);
void* __libc_memalign(std::size_t, std::size_t);
}

namespace {

using load::HeapCounters;

// In front of each block; as large as malloc aligns to, so that what follows is aligned, too.
struct alignas(std::max_align_t) Header {
  std::size_t size;      // as asked for
  std::uint32_t offset;  // of the block, from what glibc gave
  std::uint32_t mark;    // says that this is one of ours
};
constexpr std::size_t kHeader = sizeof(Header);
constexpr std::uint32_t kMark = 0x6d657465;
constexpr std::size_t kLargest = PTRDIFF_MAX - 4096;

HeapCounters before_main;
HeapCounters* counters = &before_main;

Header* header_of(void* block) {
  auto* header = static_cast<Header*>(block) - 1;
  if (header->mark != kMark) std::abort();  // freed twice, or never given
  return header;
}

// `memory` is what glibc gave, or nothing.
void* hand_out(void* memory, std::size_t offset, std::size_t size) {
  if (memory == nullptr) return nullptr;
  char* block = static_cast<char*>(memory) + offset;
  Header* header = reinterpret_cast<Header*>(block) - 1;
  header->size = size;
  header->offset = static_cast<std::uint32_t>(offset);
  header->mark = kMark;
  counters->bytes.fetch_add(size, std::memory_order_relaxed);
  counters->blocks.fetch_add(1, std::memory_order_relaxed);
  return block;
}

// The reverse: what glibc gave.
void* take_back(void* block) {
  Header* header = header_of(block);
  counters->bytes.fetch_sub(header->size, std::memory_order_relaxed);
  counters->blocks.fetch_sub(1, std::memory_order_relaxed);
  header->mark = 0;
  return static_cast<char*>(block) - header->offset;
}

void* refuse() {
  errno = ENOMEM;
  return nullptr;
}

void* aligned(std::size_t alignment, std::size_t size) {
  if (size > kLargest || alignment > kLargest / 2 - size) return refuse();
  const std::size_t offset = std::max(alignment, kHeader);
  return hand_out(__libc_memalign(alignment, size + offset), offset, size);
}

// The file stays mapped as long as the program runs; without one the counting goes unseen.
__attribute__((constructor)) void share_counters() {
  const char* path = std::getenv(load::kHeapMeterFile);
  if (path == nullptr) return;
  const int fd = ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* memory = ::mmap(nullptr, sizeof(HeapCounters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  (void)::close(fd);
  if (memory == MAP_FAILED) return;
  auto* shared = static_cast<HeapCounters*>(memory);
  shared->bytes = before_main.bytes.load();
  shared->blocks = before_main.blocks.load();
  counters = shared;
}

}  // namespace

extern "C" {

void* malloc(std::size_t size) noexcept {
  if (size > kLargest) return refuse();
  return hand_out(__libc_malloc(size + kHeader), kHeader, size);
}

void free(void* block) noexcept {
  if (block == nullptr) return;
  const int error = errno;  // free() leaves it alone
  __libc_free(take_back(block));
  errno = error;
}

void* calloc(std::size_t count, std::size_t each) noexcept {
  std::size_t size = 0;
  if (__builtin_mul_overflow(count, each, &size)) return refuse();
  void* block = malloc(size);
  if (block != nullptr) std::memset(block, 0, size);
  return block;
}

void* realloc(void* block, std::size_t size) noexcept {
  if (block == nullptr) return malloc(size);
  if (size == 0) {
    free(block);
    return nullptr;
  }
  void* larger = malloc(size);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, block, std::min(size, header_of(block)->size));
  free(block);
  return larger;
}

void* memalign(std::size_t alignment, std::size_t size) noexcept {
  return aligned(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return aligned(alignment, size);
}

int posix_memalign(void** block, std::size_t alignment, std::size_t size) noexcept {
  const int error = errno;
  void* found = aligned(alignment, size);
  errno = error;
  if (found == nullptr) return ENOMEM;
  *block = found;
  return 0;
}

std::size_t malloc_usable_size(void* block) noexcept {
  return block == nullptr ? 0 : header_of(block)->size;
}

}  // extern "C"
