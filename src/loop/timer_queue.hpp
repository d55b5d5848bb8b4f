// The timer queue: which node's deadline is next. It knows no clock.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "base/grow_array.hpp"
#include "event/detail/node.hpp"
#include "event/time.hpp"

namespace event_cpp::detail {

// A 4-ary min-heap of {key, node} entries by value, ordered by key alone.
//
// Three operations are cheap because they leave the heap's order alone:
// - Moving a deadline later, which a busy connection does to its idle timeout all the time, only
//   stores it: in the entry if that is a leaf and has no extension, else in the extension. There
//   the key stays as a lower bound, and the entry is sifted down when the key is due.
// - Removing a node turns its entry into a tombstone. When more than half of the entries are
//   tombstones, tidy() fills some with entries from the end of the array.
// - Equal deadlines are not compared by their order of setting until they are due. Then all entries
//   with the first one's key leave the heap at once and are sorted by their sequence numbers. They
//   are the ties: the first one stays at the root, and each replaces the one before it there.
//
// A node without a file descriptor needs nothing but its entry (TimerForm::compact). A node with
// one, or one whose entry was not a leaf when it was moved later, has an extension, in an array
// beside the heap that is made when it is first needed. What a node needs is kept from its first
// set() to remove(), also while it is popped: setting it again allocates nothing.
//
// Layout of heap_: the heap in [0, size()), free room, the ties in the last ties_ elements up to
// capacity(). Entries only move from the one to the other, so there is always room.
//
// Invariants: an entry's key is not less than its parent's. Node::timer is the index of the node's
// entry. An extension's deadline is not less than the key. The root is no tombstone.
class TimerQueue {
 public:
  // Of an entry with an extension, about as much again for tombstones.
  static constexpr std::size_t kBytesPerTimer = 56;

  TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;  // entries refer to tombstone_
  TimerQueue& operator=(const TimerQueue&) = delete;

  // True while no node is in the heap.
  bool empty() const noexcept { return heap_.empty(); }
  std::size_t size() const noexcept { return heap_.size() + ties_ - tombstones_; }

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
    return node.descriptor == -1 && heap_.size() + reserved_ < heap_.capacity();
  }
  void add_compact(Node& node, TimePoint deadline) noexcept {
    node.timer_form = TimerForm::compact;
    node.sequence = next_sequence_++;
    append({deadline, node, false});
  }

  // set() for a timed node, if the heap's order stays as it is. Otherwise it returns false and
  // changes nothing: if the node was popped, if its deadline is not before the new one, or if there
  // is no memory for the first extension.
  bool postpone(Node& node, TimePoint deadline) noexcept {
    if (node.timer_form == TimerForm::extended) return postpone_extended(node, deadline);
    const std::uint32_t index = node.timer;
    if (index == kNowhere || deadline <= heap_[index].key) return false;
    const bool is_leaf = first_child_of(index) >= heap_.size();
    if (is_leaf && index != 0) {  // the root keeps its key: the ties have the same
      heap_[index].key = deadline;
      node.sequence = next_sequence_++;
      return true;
    }
    if (!has_extensions()) return false;
    heap_[index].extend();
    node.timer_form = TimerForm::extended;
    node.descriptor = -1;
    extensions_[index].set(deadline, next_sequence_++);
    return true;
  }

  // The same. Requires: node.timer_form == TimerForm::extended.
  bool postpone_extended(const Node& node, TimePoint deadline) noexcept {
    const std::uint32_t index = node.timer;
    if (index == kNowhere || deadline <= extensions_[index].deadline()) return false;
    extensions_[index].set(deadline, next_sequence_++);
    return true;
  }

  // Forgets the node, if it is timed.
  void remove(Node& node) noexcept {
    const TimerForm form = node.timer_form;
    node.timer_form = TimerForm::none;
    const std::uint32_t index = node.timer;
    node.timer = kNowhere;
    if (form == TimerForm::compact) node.descriptor = -1;
    if (index == 0 || index == kNowhere) return remove_rare(index, form);
    heap_[index].make_tombstone(tombstone_);
    if (++tombstones_ > most_tombstones_) tidy();
  }

  // The node with the earliest deadline if that is not after `now`, left where it is; else nullptr.
  Node* due(TimePoint now) noexcept {
    if (heap_.empty() || heap_[0].key > now) return nullptr;
    return heap_[0].is_extended() || has_root_ties() ? due_slowly(now) : &heap_[0].node();
  }

  // Takes the node that due() returned out of the heap; it stays timed.
  void pop(Node& node) noexcept;

  // Moves the node that due() returned to another deadline.
  void move_first(Node& node, TimePoint deadline) noexcept;

  // The deadline of a timed node; nothing for a popped one.
  std::optional<TimePoint> deadline(const Node& node) const noexcept;

  // Makes room for so many timers. Errors: throws std::bad_alloc.
  void reserve(std::size_t count);

  // Frees what a burst took, down to room for `most` timers. Does nothing while more than a quarter
  // of the room is used, or without memory.
  void shrink(std::size_t most) noexcept;

  // Calls f(node) for each timed node in the heap, in no order.
  template <class F>
  void for_each(F&& f) const {
    const auto visit = [&](const Entry& entry) {
      if (!is_tombstone(entry)) f(std::as_const(entry.node()));
    };
    for (std::size_t i = 0; i < heap_.size(); ++i) visit(heap_[i]);
    for (std::size_t i = first_tie(); i < heap_.capacity(); ++i) visit(heap_[i]);
  }

  // Calls f(node) for each timed node in the heap, in no order, and forgets them all.
  template <class F>
  void clear(F&& f) noexcept {
    return_ties();
    while (!heap_.empty()) {
      const Entry& last = heap_[heap_.size() - 1];
      if (is_tombstone(last)) {
        drop_last_tombstones();
      } else {
        Node& node = last.node();
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

  static constexpr std::uint32_t parent_of(std::uint32_t index) noexcept {
    return (index - 1) / kArity;
  }
  static constexpr std::uint32_t first_child_of(std::uint32_t index) noexcept {
    return index * kArity + 1;
  }

  // Whether there is an extension is a bit of the entry, so that moving an entry stores to the node
  // without waiting for it to be loaded.
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
    void make_tombstone(Node& tombstone) noexcept {
      bits_ = reinterpret_cast<std::uintptr_t>(&tombstone);
    }

    TimePoint key;

   private:
    static constexpr std::uintptr_t kExtended = 1;
    static_assert(alignof(Node) > kExtended);

    std::uintptr_t bits_;
  };
  static_assert(sizeof(void*) != 8 || sizeof(Entry) == 16);

  // Made of four-byte parts: with an eight-byte one it would be four bytes larger.
  class Extension {
   public:
    Extension(TimePoint deadline, std::uint32_t sequence) noexcept { set(deadline, sequence); }

    void set(TimePoint deadline, std::uint32_t sequence) noexcept {
      std::memcpy(deadline_.data(), &deadline, sizeof deadline);
      sequence_ = sequence;
    }
    TimePoint deadline() const noexcept { return std::bit_cast<TimePoint>(deadline_); }
    std::uint32_t sequence() const noexcept { return sequence_; }

   private:
    std::array<std::uint32_t, 2> deadline_;
    std::uint32_t sequence_;
  };
  static_assert(sizeof(Extension) == 12);

  bool is_tombstone(const Entry& entry) const noexcept { return entry.is_of(tombstone_); }

  bool has_extensions() noexcept { return extensions_.capacity() != 0 || try_make_extensions(); }

  // Null if there are no extensions at all.
  const Extension* extension_at(std::size_t index) const noexcept {
    return extensions_.capacity() != 0 ? extensions_.data() + index : nullptr;
  }

  std::uint32_t least_of(std::uint32_t first, std::uint32_t end) const noexcept;
  std::uint32_t least_of_four(std::uint32_t first) const noexcept;
  void copy(std::uint32_t from, std::uint32_t to) noexcept;
  void sift_up(std::uint32_t index, Entry entry, const Extension* extension) noexcept;
  std::uint32_t sift_hole_down(std::uint32_t index) noexcept;
  void replace(std::uint32_t index, Entry entry, const Extension* extension) noexcept;
  void take_out(std::uint32_t index) noexcept;

  void add_slowly(Node& node, TimePoint deadline);
  void add_extended(Node& node, TimePoint deadline) noexcept;
  // Returns the entry's index. The caller stores the extension there, if there is one.
  std::uint32_t append(Entry entry) noexcept {
    const auto end = static_cast<std::uint32_t>(heap_.extend());
    if (end > 0 && entry.key < heap_[parent_of(end)].key) return sift_new_up(end, entry);
    heap_[end] = entry;
    return entry.node().timer = end;
  }
  std::uint32_t sift_new_up(std::uint32_t index, Entry entry) noexcept;
  void move(Node& node, TimePoint deadline) noexcept;
  Node* due_slowly(TimePoint now) noexcept;
  void remove_rare(std::uint32_t index, TimerForm form) noexcept;
  void remove_root() noexcept;
  void replace_root(Node& node, const Extension& extension) noexcept;

  // Whether one of the root's children has its key and may come before it.
  bool has_root_ties() const noexcept {
    if (ties_ != 0 && heap_[0].key == ties_key_) return false;  // it was set after the ties
    const std::size_t end = heap_.size() < kArity + 1 ? heap_.size() : kArity + 1;
    for (std::size_t i = 1; i < end; ++i) {
      if (heap_[i].key == heap_[0].key) return true;
    }
    return false;
  }
  std::size_t first_tie() const noexcept { return heap_.capacity() - ties_; }
  void collect_ties() noexcept;
  void collect_ties_below(std::uint32_t index) noexcept;
  bool is_tied(std::uint32_t index) const noexcept {
    return index < heap_.size() && heap_[index].key == ties_key_;
  }
  TimePoint age(std::uint32_t sequence) const noexcept {
    return TimePoint(Duration(sequence - next_sequence_));
  }
  void add_tie(Entry entry, std::uint32_t index) noexcept {
    if (entry.is_extended()) entry.key = age(extensions_[index].sequence());
    ++ties_;
    ++reserved_;
    heap_[first_tie()] = entry;
  }
  bool put_next_tie() noexcept;
  bool put_next_tie_slowly() noexcept;
  void return_ties() noexcept;

  void tidy() noexcept;
  void tidy_some() noexcept;
  void drop_last_tombstones() noexcept;
  // After each change of the root.
  void drop_first_tombstones() noexcept {
    if (!heap_.empty() && is_tombstone(heap_[0])) drop_first_tombstones_slowly();
  }
  void drop_first_tombstones_slowly() noexcept;

  void grow();
  void make_extensions();
  bool try_make_extensions() noexcept;

  GrowArray<Entry> heap_;
  GrowArray<Extension> extensions_;  // by index; as much room as heap_ has, or none at all
  // Room that is kept: for ties, for popped nodes, and for the root while the ties are collected.
  std::size_t reserved_ = 1;
  std::size_t ties_ = 0;
  TimePoint ties_key_{};
  std::size_t tombstones_ = 0;       // in the heap and among the ties
  std::size_t most_tombstones_ = 0;  // more than these are tidied
  std::uint32_t tidied_ = 0;         // how far tidy() has come
  // Starts shortly before it wraps, so that what happens then happens in every program.
  std::uint32_t next_sequence_ = static_cast<std::uint32_t>(-1000);
  Node tombstone_{nullptr, nullptr, -1, Events::none, Priority::middle};
};

}  // namespace event_cpp::detail
