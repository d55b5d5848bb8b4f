#include "event/net/chunk.hpp"

#include <utility>

#include "co/thread_end.hpp"

namespace event_cpp::net::detail {
namespace {

constexpr std::size_t kMostKept = 8;  // buffers, by each thread

constinit thread_local bool begun = false;  // what is kept will be freed, if anything is

void free_kept(void* /*unused*/) noexcept {
  FreeBuffers& free = free_buffers;
  free.room = 0;
  while (free.first != nullptr) ::operator delete(std::exchange(free.first, free.first->next));
}

}  // namespace

constinit thread_local FreeBuffers free_buffers{};

void keep_or_free_buffer(char* buffer) noexcept {
  if (!begun) {
    begun = true;
    static const co::detail::ThreadEnd thread_end(&free_kept);
    if (thread_end.ask()) free_buffers.room = kMostKept;
  }
  if (free_buffers.room == 0) return ::operator delete(buffer);
  free_buffers.keep(buffer);
}

}  // namespace event_cpp::net::detail
