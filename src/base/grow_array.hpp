// An array of plain values that wastes little room and grows without copying element by element.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <type_traits>

namespace event_cpp::detail {

// Capacity grows in sixteenths of a power of two, so at most 6 % is unused from a few hundred
// elements on; realloc() moves pages, not bytes, where that is dear.
template <class T>
class GrowArray {
  static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= alignof(std::max_align_t));

 public:
  GrowArray() = default;
  ~GrowArray() { std::free(data_); }
  GrowArray(const GrowArray&) = delete;
  GrowArray& operator=(const GrowArray&) = delete;

  T* data() noexcept { return data_; }
  const T* data() const noexcept { return data_; }
  T& operator[](std::size_t i) noexcept { return data_[i]; }
  const T& operator[](std::size_t i) const noexcept { return data_[i]; }
  T* begin() noexcept { return data_; }
  T* end() noexcept { return data_ + size_; }
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return capacity_; }
  bool empty() const noexcept { return size_ == 0; }

  // Makes room for at least `count` elements in all. Errors: throws std::bad_alloc.
  void reserve(std::size_t count) {
    if (count > capacity_) [[unlikely]]
      reallocate(count);
  }

  // Makes room for one more, and some. Errors: throws std::bad_alloc.
  void make_room(std::size_t count) {
    if (count > capacity_) [[unlikely]]
      reallocate(round_up(count));
  }

  void push_back(const T& value) {
    make_room(size_ + 1);
    data_[size_++] = value;
  }
  // The same where room was made: the new last element, which has no value yet.
  std::size_t extend() noexcept { return size_++; }
  void pop_back() noexcept { --size_; }
  // Frees what was made for a burst: if a quarter is used at most, room for twice as much stays,
  // and for `most` elements. Cost: as growing; does nothing without memory.
  void shrink(std::size_t most) noexcept {
    const std::size_t kept = std::max(most, round_up(2 * size_));
    if (capacity_ <= kept || size_ > capacity_ / 4) return;
    void* const smaller = std::realloc(data_, kept * sizeof(T));
    if (smaller == nullptr) return;
    data_ = static_cast<T*>(smaller);
    capacity_ = kept;
  }
  void truncate(std::size_t size) noexcept { size_ = size; }
  void clear() noexcept { size_ = 0; }

  static constexpr std::size_t round_up(std::size_t count) noexcept {
    if (count <= 16) return 16;
    const std::size_t step = std::bit_floor(count - 1) / 16;
    return (count + step - 1) / step * step;  // NOLINT(clang-analyzer-core.DivideZero): it is not 0
  }

 private:
  [[gnu::noinline]] void reallocate(std::size_t capacity) {
    if (capacity > static_cast<std::size_t>(-1) / sizeof(T)) throw std::bad_alloc();
    void* const grown = std::realloc(data_, capacity * sizeof(T));
    if (grown == nullptr) throw std::bad_alloc();
    data_ = static_cast<T*>(grown);
    capacity_ = capacity;
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

static_assert(GrowArray<int>::round_up(17) == 17 && GrowArray<int>::round_up(10'000) == 10'240);

}  // namespace event_cpp::detail
