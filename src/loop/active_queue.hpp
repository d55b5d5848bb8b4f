// The queue of one priority: what is due to run, in the order in which it became so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "event/detail/node.hpp"
#include "event/options.hpp"

namespace event_cpp::detail {

// An array of pointers rather than a linked list: the processor comes to the next event without
// waiting for this one, which with cold events is five times as fast. A slot is either a node, a
// row of posted functions, or a hole because its node was removed. Each function of a row counts as
// a slot.
//
// Node::active holds a node's slot and its queue, as slot * 4 + the priority that it was pushed
// with.
class alignas(32) ActiveQueue {
 public:
  // Errors: throws std::bad_alloc.
  ActiveQueue() { make_room(1); }
  ~ActiveQueue() { std::free(slots_); }
  ActiveQueue(const ActiveQueue&) = delete;
  ActiveQueue& operator=(const ActiveQueue&) = delete;

  // True if no node and no function waits.
  bool empty() const noexcept { return used() == holes_; }

  // How many nodes and functions wait.
  std::uint32_t size() const noexcept { return slots() - holes_; }

  // How many slots there are, holes included: what is pushed later is behind them.
  std::uint32_t slots() const noexcept { return used() + in_rows_; }

  // Has the node run, and be told of `fired`; only that if it waits already. Errors: throws
  // std::bad_alloc, and nothing changes; not if the queue is empty.
  void push(Node& node, Events fired = Events::none) {
    if (node.active == Node::kNowhere) [[likely]] {
      if (tail_ >= limit_) [[unlikely]]
        return push_growing(node, fired);
      slots_[tail_] = &node;
      node.active = tail_++ * 4 + static_cast<std::uint32_t>(node.priority);
    }
    node.fired = static_cast<std::uint8_t>(static_cast<Events>(node.fired) | fired);
  }

  // The same, without memory out of slots kept for it: for callers that cannot report an error.
  void push_from_spare(Node& node, Events fired = Events::none) noexcept;

  // A row of so many functions. Requires: room for one more push was made.
  void push_posted(std::size_t count) noexcept {
    if (count == 0) return;
    slots_[tail_++] = row(count);
    in_rows_ += static_cast<std::uint32_t>(count - 1);
  }

  // Takes the first slot: a node, posted(), or hole(). Requires: slots() > 0.
  Node* pop() noexcept {
    Node* const node = *head_;
    if (is_node(node)) [[likely]] {
      ++head_;
      node->active = Node::kNowhere;
      return node;
    }
    if (pop_posted()) return posted();
    pop_hole();
    return hole();
  }
  // Requires: first() == hole().
  void pop_hole() noexcept {
    ++head_;
    --holes_;
  }

  // Takes a function, if the first slot is one. Requires: slots() > 0.
  bool pop_posted() noexcept {
    const std::size_t count = posted_in(*head_);
    if (count == 0) return false;
    if (count == 1) {
      ++head_;
    } else {
      *head_ = row(count - 1);
      --in_rows_;
    }
    return true;
  }

  // The first slot, left where it is: a node, posted(), or hole(). Requires: slots() > 0.
  Node* first() const noexcept {
    Node* const slot = *head_;
    return posted_in(slot) > 0 ? posted() : slot;
  }

  // No node has an odd address.
  static bool is_node(const Node* slot) noexcept {
    return (reinterpret_cast<std::uintptr_t>(slot) & 1) == 0;
  }
  static Node* posted() noexcept { return row(1); }
  static Node* hole() noexcept { return row(0); }

  // Requires: the node is in this queue.
  void remove(Node& node) noexcept {
    slots_[node.active / 4] = hole();
    node.active = Node::kNowhere;
    ++holes_;
  }

  static Priority priority_of(const Node& node) noexcept {
    return static_cast<Priority>(node.active % 4);
  }

  // Makes room for `more` pushes. Errors: throws std::bad_alloc.
  void reserve(std::size_t more) {
    if (tail_ + more > limit_) make_room(more);
  }

  // The same where nothing was removed since the slots that are left were pushed.
  void rewind_if_all_ran() noexcept {
    if (used() == 0) begin_anew();
  }
  // Where the next push goes: zero if it begins at the front.
  std::uint32_t end() const noexcept { return tail_; }

  // Begins at the front again if everything has run or was removed, and returns whether it has.
  bool rewind() noexcept {
    if (tail_ == 0) return true;
    if (!empty()) return false;
    begin_anew();
    return true;
  }

  // Puts what waits into the order that is picked. If `order` throws, all of it still waits.
  void reorder(Order& order);

  // Frees what was made for a burst, but for room for `most` pushes. Does nothing unless the queue
  // begins at the front.
  void shrink(std::size_t most) noexcept;

  // Calls f(node) for each queued node, the first one first.
  template <class F>
  void for_each(F&& f) const {
    for (Node* const* slot = head_; slot != slots_ + tail_; ++slot) {
      const Node* const node = *slot;
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

  std::uint32_t used() const noexcept { return tail_ - static_cast<std::uint32_t>(head_ - slots_); }
  void begin_anew() noexcept {
    head_ = slots_;
    tail_ = holes_ = 0;
  }

  static Node* row(std::size_t count) noexcept {
    return reinterpret_cast<Node*>(std::uintptr_t{2} * count + 1);
  }
  static std::size_t posted_in(const Node* slot) noexcept {
    return is_node(slot) ? 0 : reinterpret_cast<std::uintptr_t>(slot) / 2;
  }

  void push_growing(Node& node, Events fired);
  void make_room(std::size_t more);
  void move_to_front() noexcept;
  void move_to(Node** slot, Node* waiting) noexcept {
    *slot = waiting;
    if (!is_node(waiting)) return;
    waiting->active = static_cast<std::uint32_t>(slot - slots_) * 4 + waiting->active % 4;
  }

  Node** slots_ = nullptr;
  Node** head_ = nullptr;
  std::uint32_t tail_ = 0;
  std::uint32_t limit_ = 0;  // of push(); kSpare more for push_from_spare()
  std::uint32_t holes_ = 0;
  std::uint32_t in_rows_ = 0;  // functions of rows beyond the first of each
};

static_assert(sizeof(void*) != 8 || sizeof(ActiveQueue) == 32);

}  // namespace event_cpp::detail
