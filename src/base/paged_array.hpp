// Arrays in pages: elements never move, and gaps cost nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace event_cpp::detail {

// An array indexed by small numbers, of which far ones may be used alone: only pages that hold a
// used element exist. A new page is all T{}.
template <class T>
class PagedArray {
 public:
  static constexpr std::size_t kPageSize = 256;

  // The element, or nullptr if its page was never made.
  T* find(std::size_t i) noexcept {
    const std::size_t page = i / kPageSize;
    if (page >= page_count_ || pages_[page] == nullptr) return nullptr;
    return &pages_[page][i % kPageSize];
  }

  // Requires: make(i) succeeded before.
  T& operator[](std::size_t i) noexcept { return pages_[i / kPageSize][i % kPageSize]; }
  const T& operator[](std::size_t i) const noexcept { return pages_[i / kPageSize][i % kPageSize]; }

  // The element, its page made if needed. Errors: throws std::bad_alloc.
  T& make(std::size_t i) {
    const std::size_t page = i / kPageSize;
    if (page >= page_count_) make_directory(page + 1);
    if (pages_[page] == nullptr) pages_[page] = std::make_unique<T[]>(kPageSize);
    return pages_[page][i % kPageSize];
  }

  // Makes the pages of the first `count` elements. Errors: throws std::bad_alloc.
  void reserve(std::size_t count) {
    for (std::size_t i = 0; i < count; i += kPageSize) make(i);
  }

  // Frees every page.
  void clear() noexcept {
    pages_.reset();
    page_count_ = 0;
  }

  // Calls f(index, element) for every element of every page, in order.
  template <class F>
  void for_each(F&& f) {
    for (std::size_t page = 0; page < page_count_; ++page) {
      if (pages_[page] == nullptr) continue;
      for (std::size_t i = 0; i < kPageSize; ++i) f(page * kPageSize + i, pages_[page][i]);
    }
  }

 private:
  void make_directory(std::size_t count) {
    const std::size_t larger = std::max(count, page_count_ + page_count_ / 2);
    auto pages = std::make_unique<std::unique_ptr<T[]>[]>(larger);
    std::move(pages_.get(), pages_.get() + page_count_, pages.get());
    pages_ = std::move(pages);
    page_count_ = larger;
  }

  std::unique_ptr<std::unique_ptr<T[]>[]> pages_;
  std::size_t page_count_ = 0;
};

// Numbered records, handed out and taken back. T has a member `next_free` of its own to spare for
// the list of unused ones.
template <class T>
class RecordPool {
 public:
  static constexpr std::uint32_t kNone = 0xffffffff;

  T& operator[](std::uint32_t i) noexcept { return records_[i]; }
  const T& operator[](std::uint32_t i) const noexcept { return records_[i]; }

  // Errors: throws std::bad_alloc.
  std::uint32_t take() {
    const std::uint32_t taken = take_unused();
    ++used_;
    return taken;
  }

  void give_back(std::uint32_t i) noexcept {
    records_[i].next_free = free_;
    free_ = i;
    --used_;
  }

  // Frees what was made for a burst: if none is handed out, and there is room for more than `most`.
  void shrink(std::size_t most) noexcept {
    if (used_ != 0 || made_ <= most) return;
    records_.clear();
    made_ = 0;
    free_ = kNone;
  }

  void reserve(std::size_t count) { records_.reserve(count); }

 private:
  std::uint32_t take_unused() {
    if (free_ == kNone) {
      records_.make(made_);
      return made_++;
    }
    const std::uint32_t i = free_;
    free_ = records_[i].next_free;
    return i;
  }

  PagedArray<T> records_;
  std::uint32_t used_ = 0;
  std::uint32_t made_ = 0;
  std::uint32_t free_ = kNone;
};

}  // namespace event_cpp::detail
