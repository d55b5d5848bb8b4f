#include <algorithm>
#include <new>

#include "poller/poller.hpp"

namespace event_cpp::detail {

ReadyBatch::ReadyBatch(std::size_t kernel_entry) : kernel_entry_(kernel_entry) {
  if (!resize(kSmallest)) throw std::bad_alloc();
}

bool ReadyBatch::resize(std::size_t count) noexcept {
  count = std::min(count, kLargest);
  std::unique_ptr<ReadyEvent[]> ready(new (std::nothrow) ReadyEvent[count]);
  std::unique_ptr<std::byte[]> entries(new (std::nothrow) std::byte[count * kernel_entry_]);
  if (ready == nullptr || entries == nullptr) return false;
  ready_ = std::move(ready);
  kernel_entries_ = std::move(entries);
  capacity_ = count;
  return true;
}

}  // namespace event_cpp::detail
