// The timer queue: which node's deadline is next. It knows no clock.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/grow_array.hpp"
#include "core/paged_array.hpp"
#include "event/detail/node.hpp"
#include "event/time.hpp"

namespace event::detail {

// A 4-ary heap of {key, node} by value. Equal deadlines keep the order in which they were set.
//
// Moving a deadline later, what a busy connection does to its idle timeout all the time, only
// stores it: the heap keeps the old key, a lower bound, and the node is put in its new place when
// that key comes up.
//
// A node without a descriptor whose deadline was never moved later needs nothing but its heap entry
// (TimerForm::compact); every other timed node has a record. Either lasts from the first set() to
// remove(), also while the node is popped: so setting it again allocates nothing. The place in the
// heap stands in the node where there is room for it: a record is one more line of cache.
//
// Invariants: heap_[i] is not less than its parent by (key, sequence); the index that a node or its
// record holds is its place; a record's deadline is not less than the node's key.
class TimerQueue {
 public:
  // True while no node is in the heap.
  bool empty() const noexcept { return heap_.empty(); }
  std::size_t size() const noexcept { return heap_.size(); }

  // A lower bound of the earliest deadline; exact unless that was moved later. Requires: !empty().
  TimePoint next() const noexcept { return heap_[0].key; }

  // Gives the node a deadline, or another one.
  // Errors: throws std::bad_alloc, only if the node was not timed before; then nothing changes.
  void set(Node& node, TimePoint deadline) {
    if (node.timer_form == TimerForm::none && node.descriptor == -1) {
      return add_compact(node, deadline);
    }
    if (node.timer_form == TimerForm::extended && postpone(node, deadline)) return;
    set_slowly(node, deadline);
  }

  // The same where it is but a store: returns false, and changes nothing, if the node was popped or
  // had a later deadline. Requires: node.timer_form == TimerForm::extended.
  bool postpone(const Node& node, TimePoint deadline) noexcept {
    Record& record = records_[node.timer];
    if (record.place == kNowhere || deadline < record.deadline()) return false;
    record.set_deadline(deadline);
    record.later_sequence = next_sequence_++;
    return true;
  }

  // Forgets the node. Requires: node.timer_form != TimerForm::none.
  void remove(Node& node) noexcept;

  // The node with the earliest deadline if that is not after `now`, left where it is; else nullptr.
  Node* due(TimePoint now) noexcept {
    return heap_.empty() || heap_[0].key > now ? nullptr : due_slowly(now);
  }

  // Takes the node that due() returned out of the heap; it stays timed.
  void pop(Node& node) noexcept;

  // Moves the node that due() returned to another deadline.
  void move_first(Node& node, TimePoint deadline) noexcept;

  // The deadline of a timed node; TimePoint::min() for a popped one.
  TimePoint deadline(const Node& node) const noexcept;

  // Makes room for so many timers. Errors: throws std::bad_alloc.
  void reserve(std::size_t count);

  // Calls f(node) for each timed node in the heap, in no order.
  template <class F>
  void for_each(F&& f) const {
    for (std::size_t i = 0; i < heap_.size(); ++i) f(std::as_const(heap_[i].node()));
  }

  // Calls f(node) for each timed node in the heap, in no order, and forgets them all.
  template <class F>
  void clear(F&& f) noexcept {
    while (!heap_.empty()) {
      Node& node = heap_[heap_.size() - 1].node();
      remove(node);
      f(node);
    }
  }

  // For tests: true if the invariants above hold.
  bool check_invariants() const noexcept;

 private:
  static constexpr std::uint32_t kNowhere = Node::kNowhere;

  // Says where the node's place is noted without a look at the node: for one that only makes way
  // that would be a wait for memory, and noting is none.
  class Entry {
   public:
    Entry(TimePoint when, Node& node) noexcept
        : key(when),
          bits_(reinterpret_cast<std::uintptr_t>(&node) |
                (node.timer_form == TimerForm::extended ? kInRecord : 0)) {}

    Node& node() const noexcept { return *reinterpret_cast<Node*>(bits_ & ~kInRecord); }
    bool has_place_in_record() const noexcept { return (bits_ & kInRecord) != 0; }

    TimePoint key;

   private:
    static constexpr std::uintptr_t kInRecord = 1;
    static_assert(alignof(Node) > kInRecord);

    std::uintptr_t bits_;
  };
  static_assert(sizeof(void*) != 8 || sizeof(Entry) == 16);

  // Of four-byte parts: with an eight-byte one each would be four bytes larger.
  class Record {
   public:
    TimePoint deadline() const noexcept { return std::bit_cast<TimePoint>(deadline_); }
    void set_deadline(TimePoint deadline) noexcept {
      deadline_ = std::bit_cast<std::array<std::uint32_t, 2>>(deadline);
    }

    union {
      std::uint32_t place;  // in the heap, or kNowhere; of an extended node alone
      std::uint32_t next_free;
    };
    std::uint32_t sequence;        // goes with the key in the heap
    std::uint32_t later_sequence;  // goes with the deadline; another one if that was set since

   private:
    std::array<std::uint32_t, 2> deadline_;
  };
  static_assert(sizeof(Record) == 20);

  static bool has_record(const Node& node) noexcept {
    return node.timer_form == TimerForm::extended || node.timer_form == TimerForm::postponed;
  }
  // Looked at before the heap, which is one more line of cache.
  bool is_after_record(const Node& node, TimePoint deadline) const noexcept {
    return has_record(node) && deadline >= record_of(node).deadline();
  }
  static std::uint32_t number_of_record(const Node& node) noexcept {
    return node.timer_form == TimerForm::extended ? node.timer : node.sequence;
  }
  Record& record_of(const Node& node) noexcept { return records_[number_of_record(node)]; }
  const Record& record_of(const Node& node) const noexcept {
    return records_[number_of_record(node)];
  }

  std::uint32_t& place_of(Node& node) noexcept {
    return node.timer_form == TimerForm::extended ? records_[node.timer].place : node.timer;
  }
  std::uint32_t sequence_of(const Node& node) const noexcept {
    return has_record(node) ? record_of(node).sequence : node.sequence;
  }

  bool before(const Entry& a, const Entry& b) const noexcept {
    if (a.key != b.key) return a.key < b.key;
    return was_set_before(a.node(), b.node());
  }
  bool was_set_before(const Node& a, const Node& b) const noexcept;

  void put(std::uint32_t place, const Entry& entry) noexcept {
    heap_[place] = entry;
    Node& node = entry.node();
    if (entry.has_place_in_record()) [[unlikely]] {
      records_[node.timer].place = place;
    } else {
      node.timer = place;
    }
  }

  void add_compact(Node& node, TimePoint deadline);
  void add_extended(Node& node);
  void give_record(Node& node);
  Entry stamp(Node& node, TimePoint deadline) noexcept;
  void take_out(std::uint32_t place) noexcept;
  void replace_first(Entry entry) noexcept;
  void sift_up(std::uint32_t place, Entry entry) noexcept;
  std::uint32_t sift_hole_down(std::uint32_t place) noexcept;
  std::uint32_t least_of(std::uint32_t first, std::uint32_t end) const noexcept;
  std::uint32_t least_of_four(std::uint32_t first) const noexcept;
  void set_slowly(Node& node, TimePoint deadline);
  void move_later(Node& node, TimePoint deadline) noexcept;
  Node* due_slowly(TimePoint now) noexcept;

  GrowArray<Entry> heap_;
  RecordPool<Record> records_;
  std::size_t claimed_ =
      0;  // nodes that are timed, popped ones included: the heap has room for all
  std::uint32_t next_sequence_ = 0;
};

}  // namespace event::detail
