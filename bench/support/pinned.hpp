// An array of objects that neither move nor are ever destroyed: a measured process just ends.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace bench {

template <class T>
class Pinned {
 public:
  explicit Pinned(std::size_t capacity) : objects_(std::allocator<T>().allocate(capacity)) {}

  template <class... Arguments>
  T& add(Arguments&&... arguments) {
    return *::new (static_cast<void*>(objects_ + size_++)) T(std::forward<Arguments>(arguments)...);
  }

  std::size_t size() const noexcept { return size_; }
  T& operator[](std::size_t i) noexcept { return objects_[i]; }
  T* begin() noexcept { return objects_; }
  T* end() noexcept { return objects_ + size_; }

 private:
  T* objects_;
  std::size_t size_ = 0;
};

}  // namespace bench
