#include "event/net/chunk.hpp"

#include <utility>

namespace event_cpp::net::detail {
namespace {

constexpr std::size_t kMostKept = 8;  // buffers, by each thread

constinit thread_local bool begun = false;  // AtThreadEnd will free what is kept

struct AtThreadEnd {
  AtThreadEnd() noexcept { free_buffers.room = kMostKept; }
  ~AtThreadEnd() {
    FreeBuffers& free = free_buffers;
    free.room = 0;
    while (free.first != nullptr) ::operator delete(std::exchange(free.first, free.first->next));
  }
};

}  // namespace

constinit thread_local FreeBuffers free_buffers{};

void keep_or_free_buffer(char* buffer) noexcept {
  if (!begun) {
    begun = true;
    static thread_local const AtThreadEnd at_thread_end;
  }
  if (free_buffers.room == 0) return ::operator delete(buffer);
  free_buffers.keep(buffer);
}

}  // namespace event_cpp::net::detail
