// The timer queue: which node's deadline is next. It knows no clock.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "core/grow_array.hpp"
#include "event/detail/node.hpp"
#include "event/time.hpp"

namespace event_cpp::detail {

// A 4-ary heap of {key, node} by value. Equal deadlines keep the order in which they were set.
//
// What programs do most to a timer is not to let it fire, but to move it later and to cancel it.
// Neither moves anything here. Moving a deadline later, what a busy connection does to its idle
// timeout all the time, only stores it: the heap keeps the old key, a lower bound, and the node is
// put in its new place when that key comes up. Removing a node leaves its entry behind, of nobody;
// once half of the heap is such, entries from its end take their places, some at a time: tidy().
//
// A node without a descriptor whose deadline was not moved later needs nothing but its heap entry
// (TimerForm::compact); for any other there is an extension, in an array beside the heap, which is
// only made if there are such. What a node needs is kept from the first set() to remove(), also
// while it is popped: so setting it again allocates nothing.
//
// Invariants: an entry's key is not less than its parent's; of two with equal keys that are neither
// of nobody nor moved later, the one below was set later. Node::timer is the place of the node's
// entry. An extension's deadline is not less than the key. The first entry is somebody's.
class TimerQueue {
 public:
  TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;  // entries refer to nobody_
  TimerQueue& operator=(const TimerQueue&) = delete;

  // True while no node is in the heap.
  bool empty() const noexcept { return heap_.empty(); }
  std::size_t size() const noexcept { return heap_.size() - dead_; }

  // A lower bound of the earliest deadline; exact unless that was moved later. Requires: !empty().
  TimePoint next() const noexcept { return heap_[0].key; }

  // Gives the node a deadline, or another one.
  // Errors: throws std::bad_alloc, only if the node was not timed before; then nothing changes.
  void set(Node& node, TimePoint deadline) {
    if (node.timer_form == TimerForm::none) return add(node, deadline);
    if (!postpone(node, deadline)) move(node, deadline);
  }

  // set() for a node that is not timed.
  void add(Node& node, TimePoint deadline) {
    if (takes_no_memory(node)) return add_compact(node, deadline);
    add_slowly(node, deadline);
  }

  // Whether a node that is not timed can be added by add_compact().
  bool takes_no_memory(const Node& node) const noexcept {
    return node.descriptor == -1 && heap_.size() + popped_ < heap_.capacity();
  }
  void add_compact(Node& node, TimePoint deadline) noexcept {
    node.timer_form = TimerForm::compact;
    node.sequence = next_sequence_++;
    place_new({deadline, node, false});
  }

  // set() for a node that is timed, where it is but a store: returns false, and changes nothing, if
  // the node was popped, had a later deadline, or there is no memory for the first extension.
  bool postpone(Node& node, TimePoint deadline) noexcept {
    if (node.timer_form == TimerForm::extended) return postpone_extended(node, deadline);
    const std::uint32_t place = node.timer;
    if (place == kNowhere || deadline <= heap_[place].key || !has_extensions()) return false;
    heap_[place].extend();
    node.timer_form = TimerForm::extended;
    node.descriptor = -1;
    extensions_[place].set(deadline, next_sequence_++);
    return true;
  }

  // The same. Requires: node.timer_form == TimerForm::extended.
  bool postpone_extended(const Node& node, TimePoint deadline) noexcept {
    const std::uint32_t place = node.timer;
    if (place == kNowhere || deadline <= extensions_[place].deadline()) return false;
    extensions_[place].set(deadline, next_sequence_++);
    return true;
  }

  // Forgets the node, if it is timed.
  void remove(Node& node) noexcept {
    const TimerForm form = node.timer_form;
    node.timer_form = TimerForm::none;
    const std::uint32_t place = node.timer;
    node.timer = kNowhere;
    if (form == TimerForm::compact) node.descriptor = -1;
    if (place == 0 || place == kNowhere) return remove_first(place, form);
    heap_[place].bury(nobody_);
    if (++dead_ > most_dead_) tidy();
  }

  // The node with the earliest deadline if that is not after `now`, left where it is; else nullptr.
  Node* due(TimePoint now) noexcept {
    if (heap_.empty() || heap_[0].key > now) return nullptr;
    return heap_[0].is_extended() ? due_slowly(now) : &heap_[0].node();
  }

  // Takes the node that due() returned out of the heap; it stays timed.
  void pop(Node& node) noexcept;

  // Moves the node that due() returned to another deadline.
  void move_first(Node& node, TimePoint deadline) noexcept;

  // The deadline of a timed node; nothing for a popped one.
  std::optional<TimePoint> deadline(const Node& node) const noexcept;

  // Makes room for so many timers. Errors: throws std::bad_alloc.
  void reserve(std::size_t count);

  // Calls f(node) for each timed node in the heap, in no order.
  template <class F>
  void for_each(F&& f) const {
    for (std::size_t i = 0; i < heap_.size(); ++i) {
      if (!is_dead(heap_[i])) f(std::as_const(heap_[i].node()));
    }
  }

  // Calls f(node) for each timed node in the heap, in no order, and forgets them all.
  template <class F>
  void clear(F&& f) noexcept {
    while (!heap_.empty()) {
      Node& node = heap_[heap_.size() - 1].node();
      if (&node == &nobody_) {
        drop_dead_end();
      } else {
        remove(node);
        f(node);
      }
    }
  }

  // For tests: true if the invariants above hold.
  bool check_invariants() const noexcept;

 private:
  static constexpr std::uint32_t kNowhere = Node::kNowhere;
  static constexpr std::uint32_t kArity = 4;

  static constexpr std::uint32_t parent_of(std::uint32_t place) noexcept {
    return (place - 1) / kArity;
  }
  static constexpr std::uint32_t first_child_of(std::uint32_t place) noexcept {
    return place * kArity + 1;
  }

  // Says whether there is an extension without a look at the node: for one that only makes way that
  // would be a wait for memory, and noting its new place is none.
  class Entry {
   public:
    Entry(TimePoint when, Node& node, bool extended) noexcept
        : key(when), bits_(reinterpret_cast<std::uintptr_t>(&node) | (extended ? kExtended : 0)) {}
    Entry(TimePoint when, Node& node) noexcept
        : Entry(when, node, node.timer_form == TimerForm::extended) {}

    Node& node() const noexcept { return *reinterpret_cast<Node*>(bits_ & ~kExtended); }
    bool is_extended() const noexcept { return (bits_ & kExtended) != 0; }
    void extend() noexcept { bits_ |= kExtended; }
    bool is_of(const Node& node) const noexcept {
      return bits_ == reinterpret_cast<std::uintptr_t>(&node);
    }
    void bury(Node& nobody) noexcept { bits_ = reinterpret_cast<std::uintptr_t>(&nobody); }

    TimePoint key;

   private:
    static constexpr std::uintptr_t kExtended = 1;
    static_assert(alignof(Node) > kExtended);

    std::uintptr_t bits_;
  };
  static_assert(sizeof(void*) != 8 || sizeof(Entry) == 16);

  // Of four-byte parts: with an eight-byte one each would be four bytes larger.
  class Extension {
   public:
    Extension(TimePoint deadline, std::uint32_t number) noexcept { set(deadline, number); }

    void set(TimePoint deadline, std::uint32_t number) noexcept {
      std::memcpy(deadline_.data(), &deadline, sizeof deadline);
      sequence_ = number;
    }
    TimePoint deadline() const noexcept { return std::bit_cast<TimePoint>(deadline_); }
    std::uint32_t sequence() const noexcept { return sequence_; }

   private:
    std::array<std::uint32_t, 2> deadline_;
    std::uint32_t sequence_;
  };
  static_assert(sizeof(Extension) == 12);

  bool is_dead(const Entry& entry) const noexcept { return entry.is_of(nobody_); }

  bool has_extensions() noexcept { return extensions_.capacity() != 0 || try_make_extensions(); }

  // Of the entry at `place`; null if there are none at all.
  const Extension* extension_at(std::size_t place) const noexcept {
    return extensions_.capacity() != 0 ? extensions_.data() + place : nullptr;
  }
  std::optional<std::uint32_t> rank(Entry entry, const Extension* extension) const noexcept;
  bool rises_over_equal(Entry entry, const Extension* extension,
                        std::uint32_t parent) const noexcept;
  bool is_before_equal(const Entry& a, const Entry& b) const noexcept;
  bool is_before(const Entry& a, const Entry& b) const noexcept;
  std::uint32_t least_of(std::uint32_t first, std::uint32_t end) const noexcept;
  std::uint32_t least_of_four(std::uint32_t first) const noexcept;

  void copy(std::uint32_t from, std::uint32_t to) noexcept;
  void rise(std::uint32_t place, Entry entry, const Extension* extension) noexcept;
  void add_slowly(Node& node, TimePoint deadline);
  void add_extended(Node& node, TimePoint deadline) noexcept;
  // Of what was set last: no other one with the same key belongs below it.
  std::uint32_t place_new(Entry entry) noexcept {
    const auto end = static_cast<std::uint32_t>(heap_.extend());
    if (end > 0 && entry.key < heap_[parent_of(end)].key) return rise_new(end, entry);
    heap_[end] = entry;
    return entry.node().timer = end;
  }
  std::uint32_t rise_new(std::uint32_t place, Entry entry) noexcept;
  std::uint32_t sink_gap(std::uint32_t place) noexcept;
  void take_out(std::uint32_t place) noexcept;
  void remove_first(std::uint32_t place, TimerForm form) noexcept;
  void drop_dead_end() noexcept;
  void tidy() noexcept;
  void tidy_some() noexcept;
  // After each change of the first entry.
  void drop_dead_first() noexcept {
    if (!heap_.empty() && is_dead(heap_[0])) drop_dead_first_slowly();
  }
  void drop_dead_first_slowly() noexcept;
  void move(Node& node, TimePoint deadline) noexcept;
  Node* due_slowly(TimePoint now) noexcept;

  void grow();
  void make_extensions();
  bool try_make_extensions() noexcept;

  GrowArray<Entry> heap_;
  GrowArray<Extension> extensions_;  // by place; as much room as the heap's, or none at all
  std::size_t popped_ = 0;           // timed nodes without an entry, for which there is room
  std::size_t dead_ = 0;             // entries of nobody
  std::size_t most_dead_ = 0;        // more than these are tidied
  std::uint32_t tidied_ = 0;         // how far tidy() has come
  std::uint32_t next_sequence_ = 0;
  Node nobody_{nullptr, nullptr, -1, Events::none, Priority::middle};
};

}  // namespace event_cpp::detail
