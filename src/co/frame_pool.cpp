#include "event/co/detail/frame_pool.hpp"

#include <utility>

#include "co/thread_end.hpp"

namespace event_cpp::co::detail {
namespace {

constexpr std::size_t kMostKept = std::size_t{64} << 10;  // bytes of each size

constinit thread_local bool begun = false;  // what is kept will be freed, if anything is

void free_kept(void* /*unused*/) noexcept {
  for (FreeList& list : free_lists) {
    list.room = 0;
    while (list.first != nullptr) ::operator delete(std::exchange(list.first, list.first->next));
  }
}

}  // namespace

constinit thread_local std::array<FreeList, kBlockClasses> free_lists{};

void keep_or_free(FreeList& list, void* block) noexcept {
  if (!begun) {
    begun = true;
    static const ThreadEnd thread_end(&free_kept);
    const bool freed = thread_end.ask();
    for (std::size_t i = 0; i < kBlockClasses && freed; ++i) {
      free_lists[i].room = kMostKept / block_size(i);
    }
  }
  if (list.room == 0) return ::operator delete(block);
  list.keep(block);
}

void* allocate_by_call(std::size_t size) { return allocate_inline(size); }

void deallocate_by_call(void* block, std::size_t size) noexcept { deallocate_inline(block, size); }

}  // namespace event_cpp::co::detail
