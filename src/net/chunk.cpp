#include "event/net/chunk.hpp"

#include <cstddef>
#include <new>
#include <utility>

namespace event_cpp::net::detail {
namespace {

constexpr std::size_t kMostKept = 8;  // buffers, by each thread

struct Free {
  Free* next;
};

struct Kept {
  Free* first = nullptr;
  std::size_t count = 0;
  bool watched = false;  // AtThreadEnd will clear it
  bool closed = false;   // it has
};

constinit thread_local Kept kept;

struct AtThreadEnd {
  ~AtThreadEnd() {
    kept.closed = true;
    while (kept.first != nullptr) ::operator delete(std::exchange(kept.first, kept.first->next));
  }
  void begin() noexcept { kept.watched = true; }
};

thread_local AtThreadEnd at_thread_end;

}  // namespace

char* take_buffer() {
  if (kept.first == nullptr) return static_cast<char*>(::operator new(kBufferSize));
  --kept.count;
  return reinterpret_cast<char*>(std::exchange(kept.first, kept.first->next));
}

void give_back_buffer(char* buffer) noexcept {
  if (!kept.watched) at_thread_end.begin();
  if (kept.closed || kept.count == kMostKept) return ::operator delete(buffer);
  kept.first = ::new (static_cast<void*>(buffer)) Free{kept.first};
  ++kept.count;
}

}  // namespace event_cpp::net::detail
