// Chunk: received bytes in a pooled buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>
#include <utility>

#include "event/detail/export.hpp"
#include "event/net/bytes.hpp"

namespace event_cpp::net {

namespace detail {

// Buffers of this size are kept for reuse by each thread, a few of them.
inline constexpr std::size_t kBufferSize = std::size_t{64} << 10;
// The allocated size of a buffer: room for 64 KiB of data in four TLS records, and a few messages.
inline constexpr std::size_t kBufferCapacity = kBufferSize + 1024;

struct FreeBuffer {
  FreeBuffer* next;
};

// The buffers that a thread keeps for reuse, a list. `room` is how many more it may keep. It is
// zero until the thread has given back its first buffer, so that one test detects both a full list
// and a new thread.
struct FreeBuffers {
  FreeBuffer* first;
  std::size_t room;

  void keep(char* buffer) noexcept {  // NOLINT(readability-non-const-parameter)
    first = ::new (static_cast<void*>(buffer)) FreeBuffer{first};
    --room;
  }
};

// One for each thread, without a constructor and a destructor: see co::detail::free_lists.
EVENT_API extern constinit thread_local FreeBuffers free_buffers;

// For give_back_buffer() when `room` is zero.
EVENT_API void keep_or_free_buffer(char* buffer) noexcept;

// Not inline with clang before 17, which caches thread-local addresses: see
// co::detail::kInlinePool.
#if defined(__clang__) && __clang_major__ < 17
#define EVENT_OF_THIS_THREAD [[gnu::noinline]]
#else
#define EVENT_OF_THIS_THREAD
#endif

// Null if there is no memory.
EVENT_OF_THIS_THREAD inline char* try_take_buffer() noexcept {
  FreeBuffers& free = free_buffers;
  FreeBuffer* const buffer = free.first;
  if (buffer == nullptr) [[unlikely]]
    return static_cast<char*>(::operator new(kBufferCapacity, std::nothrow));
  free.first = buffer->next;
  ++free.room;
  return reinterpret_cast<char*>(buffer);
}
// Errors: throws std::bad_alloc.
inline char* take_buffer() {
  char* const buffer = try_take_buffer();
  if (buffer == nullptr) throw std::bad_alloc();
  return buffer;
}
EVENT_OF_THIS_THREAD inline void give_back_buffer(char* buffer) noexcept {
  if (free_buffers.room == 0) [[unlikely]]
    return keep_or_free_buffer(buffer);
  free_buffers.keep(buffer);
}

#undef EVENT_OF_THIS_THREAD

}  // namespace detail

// Received bytes. Owns a buffer of 64 KiB, which is reused after the Chunk is destroyed. Converts
// to false if it is empty, which means the end of the stream. Move-only. Destroy it as soon as its
// bytes are no longer needed: each Chunk takes 64 KiB, also while its task waits for a slow peer.
// Thread-safety: as any value; it may be destroyed in another thread.
class [[nodiscard]] Chunk {
 public:
  Chunk() noexcept = default;
  // Takes ownership of a buffer of detail::take_buffer() with `size` bytes in it.
  Chunk(char* buffer, std::size_t size) noexcept
      : buffer_(buffer), size_(static_cast<std::uint32_t>(size)) {}
  Chunk(Chunk&& other) noexcept
      : buffer_(std::exchange(other.buffer_, nullptr)),
        begin_(std::exchange(other.begin_, 0)),
        size_(std::exchange(other.size_, 0)) {}
  Chunk& operator=(Chunk&& other) noexcept {
    std::swap(buffer_, other.buffer_);
    std::swap(begin_, other.begin_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Chunk() {
    if (buffer_ != nullptr) detail::give_back_buffer(buffer_);
  }

  explicit operator bool() const noexcept { return size_ > 0; }
  operator Bytes() const noexcept { return bytes(); }  // NOLINT(google-explicit-constructor)
  Bytes bytes() const noexcept { return {data(), size_}; }
  std::string_view text() const noexcept { return {data(), size_}; }
  const char* data() const noexcept { return buffer_ + begin_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  // Forgets the first `count` bytes. Requires: count <= size().
  void remove_prefix(std::size_t count) noexcept {
    begin_ += static_cast<std::uint32_t>(count);
    size_ -= static_cast<std::uint32_t>(count);
  }

 private:
  char* buffer_ = nullptr;
  std::uint32_t begin_ = 0;  // of the bytes that are left
  std::uint32_t size_ = 0;
};

}  // namespace event_cpp::net
