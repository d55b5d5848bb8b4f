#include "event/co/detail/frame_pool.hpp"

#include <array>
#include <new>
#include <utility>

namespace event_cpp::co::detail {
namespace {

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

constexpr std::size_t kStep = 16;  // sizes are rounded up to a multiple of it
constexpr std::size_t kClasses = 64;
constexpr std::size_t kMostKept = std::size_t{64} << 10;  // bytes of each size

struct Block {
  Block* next;
};

struct FreeList {
  Block* first = nullptr;
  std::size_t count = 0;
};

// Without a destructor, so that using them costs no test whether they were constructed: they are
// cleared by AtThreadEnd.
struct Kept {
  std::array<FreeList, kClasses> lists;
  bool watched = false;  // AtThreadEnd will clear them
  bool closed = false;   // it has
};

constinit thread_local Kept kept;

struct AtThreadEnd {
  ~AtThreadEnd() {
    kept.closed = true;
    for (FreeList& list : kept.lists) {
      while (list.first != nullptr) ::operator delete(std::exchange(list.first, list.first->next));
    }
  }
  void begin() noexcept { kept.watched = true; }
};

thread_local AtThreadEnd at_thread_end;

// The class of a size that is not zero; kClasses and more: not kept.
constexpr std::size_t class_of(std::size_t size) noexcept { return (size - 1) / kStep; }

}  // namespace

void* allocate(std::size_t size) {
  const std::size_t index = class_of(size);
  if (!kReuse || index >= kClasses) return ::operator new(size);
  FreeList& list = kept.lists[index];
  Block* const block = list.first;
  if (block == nullptr) return ::operator new((index + 1) * kStep);
  list.first = block->next;
  --list.count;
  return block;
}

void deallocate(void* block, std::size_t size) noexcept {
  const std::size_t index = class_of(size);
  if (!kReuse || index >= kClasses) return ::operator delete(block);
  FreeList& list = kept.lists[index];
  if (!kept.watched) at_thread_end.begin();
  if (kept.closed || list.count * (index + 1) * kStep >= kMostKept) return ::operator delete(block);
  list.first = ::new (block) Block{list.first};
  ++list.count;
}

}  // namespace event_cpp::co::detail
