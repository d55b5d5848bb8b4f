#include "loop/active_queue.hpp"

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

namespace event_cpp::detail {

void ActiveQueue::make_room(std::size_t more) {
  const auto ran = static_cast<std::uint32_t>(head_ - slots_);
  // What has run left its slots at the front. If that is the larger part, they are used again.
  if (ran > used() && used() + more <= limit_) {
    move_to_front();
    return;
  }
  const std::size_t limit = std::max({kSmallest, tail_ + more, 2 * std::size_t{tail_}});
  if (limit > kMost) throw std::bad_alloc();
  void* const grown = std::realloc(slots_, (limit + kSpare) * sizeof(Node*));
  if (grown == nullptr) throw std::bad_alloc();
  slots_ = static_cast<Node**>(grown);
  head_ = slots_ + ran;
  limit_ = static_cast<std::uint32_t>(limit);
}

void ActiveQueue::shrink(std::size_t most) noexcept {
  const std::size_t limit = std::max(kSmallest, most);
  if (tail_ != 0 || limit_ <= limit) return;
  void* const smaller = std::realloc(slots_, (limit + kSpare) * sizeof(Node*));
  if (smaller == nullptr) return;
  slots_ = head_ = static_cast<Node**>(smaller);
  limit_ = static_cast<std::uint32_t>(limit);
}

void ActiveQueue::push_growing(Node& node, Events fired) {
  make_room(1);
  push(node, fired);
}

void ActiveQueue::push_from_spare(Node& node, Events fired) noexcept {
  try {
    push(node, fired);
  } catch (const std::bad_alloc&) {
    if (tail_ == limit_ + kSpare) std::terminate();  // there is nowhere to put it
    const std::uint32_t limit = std::exchange(limit_, tail_ + 1);
    push(node, fired);
    limit_ = limit;
  }
}

void ActiveQueue::reorder(Order& order) {
  // Holes are no choice.
  Node** end = head_;
  for (Node** slot = head_; slot != slots_ + tail_; ++slot) {
    if (*slot != hole()) move_to(end++, *slot);
  }
  tail_ = static_cast<std::uint32_t>(end - slots_);
  holes_ = 0;
  for (Node** slot = head_; end - slot > 1; ++slot) {
    const auto left = static_cast<std::uint32_t>(end - slot);
    Node** const picked = slot + order.pick(left) % left;
    Node* const first = *slot;
    move_to(slot, *picked);
    move_to(picked, first);
  }
}

void ActiveQueue::move_to_front() noexcept {
  const std::uint32_t count = used();
  for (std::uint32_t i = 0; i < count; ++i) {
    Node* const node = head_[i];
    slots_[i] = node;
    if (is_node(node)) node->active = i * 4 + node->active % 4;
  }
  head_ = slots_;
  tail_ = count;
}

}  // namespace event_cpp::detail
