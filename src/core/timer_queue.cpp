#include "core/timer_queue.hpp"

namespace event::detail {
namespace {

constexpr std::uint32_t kArity = 4;

constexpr std::uint32_t parent_of(std::uint32_t place) noexcept { return (place - 1) / kArity; }
constexpr std::uint32_t first_child_of(std::uint32_t place) noexcept { return place * kArity + 1; }

}  // namespace

// By the difference, so that the order survives the wrap of the counter.
bool TimerQueue::was_set_before(const Node& a, const Node& b) const noexcept {
  return static_cast<std::int32_t>(sequence_of(a) - sequence_of(b)) < 0;
}

[[gnu::always_inline]] inline void TimerQueue::sift_up(std::uint32_t place, Entry entry) noexcept {
  while (place > 0) {
    const std::uint32_t parent = parent_of(place);
    const Entry above = heap_[parent];
    if (!before(entry, above)) break;
    put(place, above);
    place = parent;
  }
  put(place, entry);
}

std::uint32_t TimerQueue::least_of(std::uint32_t first, std::uint32_t end) const noexcept {
  std::uint32_t least = first;
  while (++first < end) {
    if (before(heap_[first], heap_[least])) least = first;
  }
  return least;
}

// As a knockout: two of the three comparisons do not wait for another one.
inline std::uint32_t TimerQueue::least_of_four(std::uint32_t first) const noexcept {
  const Entry* const four = &heap_[first];
  const std::uint32_t low = before(four[1], four[0]) ? 1 : 0;
  const std::uint32_t high = before(four[3], four[2]) ? 3 : 2;
  return first + (before(four[high], four[low]) ? high : low);
}

// Moves a gap down to the last floor, by the least of the children each time. Returns where it is.
[[gnu::always_inline]] inline std::uint32_t TimerQueue::sift_hole_down(
    std::uint32_t place) noexcept {
  const auto size = static_cast<std::uint32_t>(heap_.size());
  std::uint32_t child = first_child_of(place);
  for (; child + kArity <= size; child = first_child_of(place)) {
    const std::uint32_t least = least_of_four(child);
    put(place, heap_[least]);
    place = least;
  }
  if (child >= size) return place;
  const std::uint32_t least = least_of(child, size);
  put(place, heap_[least]);
  return least;
}

// Closes the gap at `place` with the last entry, which belongs near the last floor nearly always:
// so the gap is moved there without a look at it, and it goes up from there, if it must.
inline void TimerQueue::take_out(std::uint32_t place) noexcept {
  const Entry last = heap_[heap_.size() - 1];
  heap_.pop_back();
  if (place == heap_.size()) return;
  sift_up(sift_hole_down(place), last);
}

// The common case as one piece: a node that was not timed, and needs nothing but a heap entry.
void TimerQueue::add_compact(Node& node, TimePoint deadline) {
  heap_.make_room(claimed_ + 1);
  ++claimed_;
  node.timer_form = TimerForm::compact;
  node.sequence = next_sequence_++;
  sift_up(static_cast<std::uint32_t>(heap_.extend()), {deadline, node});
}

// Puts an entry in the place of the first one.
void TimerQueue::replace_first(Entry entry) noexcept { sift_up(sift_hole_down(0), entry); }

// Makes the node timed, though not in the heap yet: room for it there, and a record.
void TimerQueue::add_extended(Node& node) {
  heap_.make_room(claimed_ + 1);
  const std::uint32_t record = records_.take();
  records_[record].place = kNowhere;
  node.timer = record;
  node.timer_form = TimerForm::extended;
  ++claimed_;
}

// To a compact node in the heap.
void TimerQueue::give_record(Node& node) {
  const std::uint32_t number = records_.take();
  Record& record = records_[number];
  record.set_deadline(heap_[node.timer].key);
  record.sequence = record.later_sequence = node.sequence;
  node.sequence = number;
  node.timer_form = TimerForm::postponed;
}

// Notes a node's new deadline, behind all equal ones, and returns what goes into the heap for it.
TimerQueue::Entry TimerQueue::stamp(Node& node, TimePoint deadline) noexcept {
  const std::uint32_t sequence = next_sequence_++;
  if (has_record(node)) {
    Record& record = record_of(node);
    record.set_deadline(deadline);
    record.sequence = record.later_sequence = sequence;
  } else {
    node.sequence = sequence;
  }
  return {deadline, node};
}

void TimerQueue::set_slowly(Node& node, TimePoint deadline) {
  if (node.timer_form == TimerForm::none) add_extended(node);
  const std::uint32_t place = place_of(node);
  if (place == kNowhere) {
    const Entry entry = stamp(node, deadline);
    sift_up(static_cast<std::uint32_t>(heap_.extend()), entry);  // the room was made
  } else if (is_after_record(node, deadline) || deadline >= heap_[place].key) {
    move_later(node, deadline);
  } else {
    sift_up(place, stamp(node, deadline));
  }
}

// Requires: the node is in the heap, and its key is not after `deadline`.
void TimerQueue::move_later(Node& node, TimePoint deadline) noexcept {
  if (node.timer_form == TimerForm::compact) {
    try {
      give_record(node);
    } catch (const std::bad_alloc&) {
      // Without a record the node is moved at once, which costs time but no memory.
      const Entry entry = stamp(node, deadline);
      sift_up(sift_hole_down(node.timer), entry);
      return;
    }
  }
  Record& record = record_of(node);
  record.set_deadline(deadline);
  record.later_sequence = next_sequence_++;
}

void TimerQueue::remove(Node& node) noexcept {
  const std::uint32_t place = place_of(node);
  if (place != kNowhere) take_out(place);
  if (has_record(node)) records_.give_back(number_of_record(node));
  if (node.timer_form != TimerForm::extended) node.descriptor = -1;
  node.timer_form = TimerForm::none;
  node.timer = kNowhere;
  --claimed_;
}

// Puts nodes at the top that were set anew where they belong, until one is due.
Node* TimerQueue::due_slowly(TimePoint now) noexcept {
  while (heap_[0].key <= now) {
    Node& node = heap_[0].node();
    if (!has_record(node)) return &node;
    Record& record = record_of(node);
    if (record.sequence == record.later_sequence) return &node;
    record.sequence = record.later_sequence;
    replace_first({record.deadline(), node});
  }
  return nullptr;
}

void TimerQueue::pop(Node& node) noexcept {
  take_out(0);
  place_of(node) = kNowhere;
}

void TimerQueue::move_first(Node& node, TimePoint deadline) noexcept {
  replace_first(stamp(node, deadline));
}

TimePoint TimerQueue::deadline(const Node& node) const noexcept {
  const std::uint32_t place =
      node.timer_form == TimerForm::extended ? records_[node.timer].place : node.timer;
  if (place == kNowhere) return TimePoint::min();
  return has_record(node) ? record_of(node).deadline() : heap_[place].key;
}

void TimerQueue::reserve(std::size_t count) {
  heap_.reserve(count);
  records_.reserve(count);
}

bool TimerQueue::check_invariants() const noexcept {
  for (std::uint32_t i = 0; i < heap_.size(); ++i) {
    const Node& node = heap_[i].node();
    if (i > 0 && before(heap_[i], heap_[parent_of(i)])) return false;
    if (const_cast<TimerQueue*>(this)->place_of(heap_[i].node()) != i) return false;
    if (deadline(node) < heap_[i].key) return false;
  }
  return claimed_ >= heap_.size();
}

}  // namespace event::detail
