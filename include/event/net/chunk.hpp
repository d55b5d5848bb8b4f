// Chunk: received bytes in a buffer that is lent.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>

#include "event/detail/export.hpp"
#include "event/net/bytes.hpp"

namespace event_cpp::net {

namespace detail {

// Buffers of this size are kept for reuse by each thread, a few of them.
inline constexpr std::size_t kBufferSize = std::size_t{64} << 10;

// Errors: throws std::bad_alloc.
EVENT_API char* take_buffer();
EVENT_API void give_back_buffer(char* buffer) noexcept;

}  // namespace detail

// Bytes that were received, in a buffer of 64 KiB that is given back when this is destroyed. False
// if there are none, which is the end of the stream. Moves only. Keep it no longer than its bytes
// are needed: a task that waits for a slow peer with a Chunk in its hand holds 64 KiB.
// Thread-safety: as an int; it may be destroyed in another thread.
class [[nodiscard]] Chunk {
 public:
  Chunk() noexcept = default;
  // Takes over a buffer with so many bytes in it.
  Chunk(char* buffer, std::size_t size) noexcept : buffer_(buffer), data_(buffer), size_(size) {}
  Chunk(Chunk&& other) noexcept
      : buffer_(std::exchange(other.buffer_, nullptr)),
        data_(other.data_),
        size_(std::exchange(other.size_, 0)) {}
  Chunk& operator=(Chunk&& other) noexcept {
    std::swap(buffer_, other.buffer_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Chunk() {
    if (buffer_ != nullptr) detail::give_back_buffer(buffer_);
  }

  explicit operator bool() const noexcept { return size_ > 0; }
  operator Bytes() const noexcept { return bytes(); }  // NOLINT(google-explicit-constructor)
  Bytes bytes() const noexcept { return {data_, size_}; }
  std::string_view text() const noexcept { return {data_, size_}; }
  const char* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  // Forgets the first `count` bytes. Requires: count <= size().
  void remove_prefix(std::size_t count) noexcept {
    data_ += count;
    size_ -= count;
  }

 private:
  char* buffer_ = nullptr;
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace event_cpp::net
