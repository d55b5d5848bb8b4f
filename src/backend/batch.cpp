#include <algorithm>
#include <new>

#include "backend/backend.hpp"

namespace event_cpp::detail {

Batch::Batch(std::size_t kernel_entry) : kernel_entry_(kernel_entry) {
  if (!resize(kSmallest)) throw std::bad_alloc();
}

bool Batch::resize(std::size_t count) noexcept {
  count = std::min(count, kLargest);
  std::unique_ptr<Ready[]> ready(new (std::nothrow) Ready[count]);
  std::unique_ptr<std::byte[]> entries(new (std::nothrow) std::byte[count * kernel_entry_]);
  if (ready == nullptr || entries == nullptr) return false;
  ready_ = std::move(ready);
  kernel_entries_ = std::move(entries);
  capacity_ = count;
  return true;
}

}  // namespace event_cpp::detail
