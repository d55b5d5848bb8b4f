// The queue of one priority: what is due to run, in the order in which it became so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "event/detail/node.hpp"

namespace event::detail {

// An array of pointers rather than a linked list: the processor comes to the next event without
// waiting for this one, which with cold events is five times as fast. A slot is either a node, a
// marker for one posted function, or a hole because its node was removed.
//
// Node::active holds a node's slot and its queue, as slot * 4 + priority.
class alignas(32) ActiveQueue {
 public:
  // Errors: throws std::bad_alloc.
  explicit ActiveQueue(Priority priority) : priority_(priority) { make_room(1); }
  ~ActiveQueue() { std::free(slots_); }
  ActiveQueue(const ActiveQueue&) = delete;
  ActiveQueue& operator=(const ActiveQueue&) = delete;

  // True if no node and no marker waits.
  bool empty() const noexcept { return slots() == holes_; }

  // How many nodes and markers wait.
  std::uint32_t size() const noexcept { return slots() - holes_; }

  // How many slots there are, holes included: what is pushed later is behind them.
  std::uint32_t slots() const noexcept { return tail_ - head_; }

  // Errors: throws std::bad_alloc, and nothing changes; not if the queue is empty.
  // Requires: the node is in no queue.
  void push(Node& node) {
    if (tail_ >= limit_) [[unlikely]]
      return push_growing(node);
    slots_[tail_] = &node;
    place_at(node, tail_++);
  }

  // The same, without memory out of slots kept for it: for callers that cannot report an error.
  void push_from_spare(Node& node) noexcept;

  // Requires: room for them was made.
  void push_posted(std::size_t count) noexcept {
    for (; count > 0; --count) slots_[tail_++] = posted();
  }

  // Takes the first slot: a node, posted(), or nullptr for a hole. Requires: slots() > 0.
  Node* pop() noexcept {
    Node* const node = slots_[head_++];
    if (is_node(node)) [[likely]] {
      node->active = Node::kNowhere;
    } else if (node == nullptr) {
      --holes_;
    }
    return node;
  }

  // The first slot, left where it is. Requires: slots() > 0.
  Node* first() const noexcept { return slots_[head_]; }

  // Whether a slot holds a node, and not posted() or nothing.
  static bool is_node(const Node* slot) noexcept {
    return reinterpret_cast<std::uintptr_t>(slot) > alignof(Node);
  }

  // The marker of a posted function: no node has this address.
  static Node* posted() noexcept { return reinterpret_cast<Node*>(alignof(Node)); }

  // Requires: the node is in this queue.
  void remove(Node& node) noexcept {
    slots_[node.active / 4] = nullptr;
    node.active = Node::kNowhere;
    ++holes_;
  }

  Priority priority() const noexcept { return priority_; }
  static Priority priority_of(const Node& node) noexcept {
    return static_cast<Priority>(node.active % 4);
  }

  // Makes room for `more` pushes. Errors: throws std::bad_alloc.
  void reserve(std::size_t more) {
    if (tail_ + more > limit_) make_room(more);
  }

  // The same where nothing was removed since the slots that are left were pushed.
  void rewind_if_all_ran() noexcept {
    if (head_ == tail_) head_ = tail_ = 0;
  }
  // Where the next push goes: zero if it begins at the front.
  std::uint32_t end() const noexcept { return tail_; }

  // Begins at the front again if everything has run or was removed, and returns whether it has.
  bool rewind() noexcept {
    if (tail_ == 0) return true;
    if (!empty()) return false;
    head_ = tail_ = holes_ = 0;
    return true;
  }

  // Calls f(node) for each queued node, the first one first.
  template <class F>
  void for_each(F&& f) const {
    for (std::uint32_t slot = head_; slot != tail_; ++slot) {
      const Node* const node = slots_[slot];
      if (is_node(node)) f(*node);
    }
  }

  // Calls f(node) for each queued node and forgets them all, posted functions included.
  template <class F>
  void clear(F&& f) noexcept {
    while (slots() > 0) {
      Node* const node = pop();
      if (is_node(node)) f(*node);
    }
  }

 private:
  static constexpr std::size_t kSmallest = 64;
  static constexpr std::uint32_t kSpare = 64;
  static constexpr std::size_t kMost = 1U << 30;  // more slots do not fit Node::active

  void place_at(Node& node, std::uint32_t slot) const noexcept {
    node.active = slot * 4 + static_cast<std::uint32_t>(priority_);
  }

  void push_growing(Node& node);
  void make_room(std::size_t more);
  void move_to_front() noexcept;

  Node** slots_ = nullptr;
  std::uint32_t head_ = 0;
  std::uint32_t tail_ = 0;
  std::uint32_t limit_ = 0;  // of push(); kSpare more for push_from_spare()
  std::uint32_t holes_ = 0;
  const Priority priority_;
};

static_assert(sizeof(void*) != 8 || sizeof(ActiveQueue) == 32);

}  // namespace event::detail
