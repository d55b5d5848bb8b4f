#include "core/timer_queue.hpp"

#include <algorithm>
#include <new>

namespace event_cpp::detail {

// Where an entry belongs among those of the same key; nothing if it does not matter: it will not be
// due by this key.
[[gnu::noinline]] std::optional<std::uint32_t> TimerQueue::rank(
    Entry entry, const Extension* extension) const noexcept {
  if (is_dead(entry)) return std::nullopt;
  if (!entry.is_extended()) return entry.node().sequence;
  if (extension->deadline() > entry.key) return std::nullopt;
  return extension->sequence();
}

namespace {

// By the difference, so that the order survives the wrap of the counter.
bool was_set_before(std::uint32_t a, std::uint32_t b) noexcept {
  return static_cast<std::int32_t>(a - b) < 0;
}

}  // namespace

// Not over one that does not matter by itself: others may be below it.
[[gnu::noinline]] bool TimerQueue::rises_over_equal(Entry entry, const Extension* extension,
                                                    std::uint32_t parent) const noexcept {
  const auto own = rank(entry, extension);
  if (!own) return false;
  for (std::uint32_t above = parent; heap_[above].key == entry.key; above = parent_of(above)) {
    const auto other = rank(heap_[above], extension_at(above));
    if (other) return was_set_before(*own, *other);
    if (above == 0) break;
  }
  return false;
}

// One that does not matter goes first: others may be below it.
[[gnu::noinline]] bool TimerQueue::is_before_equal(const Entry& a, const Entry& b) const noexcept {
  const auto rank_of = [this](const Entry& entry) {
    return rank(entry, extension_at(static_cast<std::size_t>(&entry - heap_.data())));
  };
  const auto first = rank_of(a);
  if (!first) return true;
  const auto second = rank_of(b);
  return second && was_set_before(*first, *second);
}

inline bool TimerQueue::is_before(const Entry& a, const Entry& b) const noexcept {
  if (a.key != b.key) return a.key < b.key;
  return is_before_equal(a, b);
}

std::uint32_t TimerQueue::least_of(std::uint32_t first, std::uint32_t end) const noexcept {
  std::uint32_t least = first;
  while (++first < end) {
    if (is_before(heap_[first], heap_[least])) least = first;
  }
  return least;
}

// As a knockout: two of the three comparisons do not wait for another one.
inline std::uint32_t TimerQueue::least_of_four(std::uint32_t first) const noexcept {
  const Entry* const four = &heap_[first];
  const std::uint32_t low = is_before(four[1], four[0]) ? 1 : 0;
  const std::uint32_t high = is_before(four[3], four[2]) ? 3 : 2;
  return first + (is_before(four[high], four[low]) ? high : low);
}

inline void TimerQueue::copy(std::uint32_t from, std::uint32_t to) noexcept {
  const Entry& entry = heap_[from];
  heap_[to] = entry;
  entry.node().timer = to;
  if (entry.is_extended()) [[unlikely]]
    extensions_[to] = extensions_[from];
}

// Puts an entry at `place`, which is free, or above it. The extension is not in the way.
[[gnu::always_inline]] inline void TimerQueue::rise(std::uint32_t place, Entry entry,
                                                    const Extension* extension) noexcept {
  while (place > 0) {
    const std::uint32_t parent = parent_of(place);
    const TimePoint above = heap_[parent].key;
    if (entry.key > above) break;
    if (entry.key == above && !rises_over_equal(entry, extension, parent)) break;
    copy(parent, place);
    place = parent;
  }
  heap_[place] = entry;
  entry.node().timer = place;
  if (entry.is_extended()) extensions_[place] = *extension;
}

std::uint32_t TimerQueue::rise_new(std::uint32_t place, Entry entry) noexcept {
  do {
    copy(parent_of(place), place);
    place = parent_of(place);
  } while (place > 0 && entry.key < heap_[parent_of(place)].key);
  heap_[place] = entry;
  return entry.node().timer = place;
}

void TimerQueue::add_slowly(Node& node, TimePoint deadline) {
  if (heap_.size() + popped_ >= heap_.capacity()) grow();
  if (node.descriptor == -1) return add_compact(node, deadline);
  if (extensions_.capacity() == 0) make_extensions();
  add_extended(node, deadline);
}

void TimerQueue::add_extended(Node& node, TimePoint deadline) noexcept {
  node.timer_form = TimerForm::extended;
  const std::uint32_t place = place_new({deadline, node, true});
  extensions_[place] = Extension(deadline, next_sequence_++);
}

// Moves a gap down to the last floor, by the least of the children each time. Returns where it is.
[[gnu::always_inline]] inline std::uint32_t TimerQueue::sink_gap(std::uint32_t place) noexcept {
  const auto size = static_cast<std::uint32_t>(heap_.size());
  std::uint32_t child = first_child_of(place);
  for (; child + kArity <= size; child = first_child_of(place)) {
    const std::uint32_t least = least_of_four(child);
    copy(least, place);
    place = least;
  }
  if (child >= size) return place;
  const std::uint32_t least = least_of(child, size);
  copy(least, place);
  return least;
}

// Closes the gap at `place` with the last entry, which belongs near the last floor nearly always:
// so the gap is moved there without a look at it, and it goes up from there, if it must.
inline void TimerQueue::take_out(std::uint32_t place) noexcept {
  heap_.pop_back();
  const std::size_t last = heap_.size();
  if (place != last) rise(sink_gap(place), heap_[last], extension_at(last));
}

// What remove() finds too seldom to look for it: the first one, a node that was popped, or one that
// is not timed.
void TimerQueue::remove_first(std::uint32_t place, TimerForm form) noexcept {
  if (place == kNowhere) {
    if (form != TimerForm::none) --popped_;
    return;
  }
  take_out(0);
  drop_dead_first();
}

void TimerQueue::tidy() noexcept {
  most_dead_ = heap_.size() / 2;
  // There are some on the last floor, for that is three quarters of the heap.
  while (dead_ > most_dead_) tidy_some();
}

// Overwrites some entries of nobody on the last floor with somebody's from the end of the array.
// Both are looked for before any is moved, so that no branch depends on which are nobody's; and in
// the order of the array, so that memory is not waited for.
void TimerQueue::tidy_some() noexcept {
  constexpr std::uint32_t kAtOnce = 64;
  const Entry* const heap = heap_.data();
  const auto size = static_cast<std::uint32_t>(heap_.size());
  const std::uint32_t first_leaf = parent_of(size - 1) + 1;
  std::uint32_t next = tidied_ < first_leaf || tidied_ >= size ? first_leaf : tidied_;
  const std::uint32_t stop = std::min(next + kAtOnce, size);
  std::array<std::uint32_t, kAtOnce> gaps;
  std::uint32_t gap_count = 0;
  for (; next < stop; ++next) {
    gaps[gap_count] = next;
    gap_count += is_dead(heap[next]) ? 1 : 0;
  }
  tidied_ = stop;
  std::array<std::uint32_t, kAtOnce> living;
  std::uint32_t found = 0;
  std::uint32_t end = size;
  while (found < gap_count && end > gaps[found] + 1) {
    living[found] = --end;
    found += is_dead(heap[end]) ? 0 : 1;
  }
  for (std::uint32_t i = 0; i < found; ++i) {
    if (heap[living[i]].key > heap[parent_of(gaps[i])].key) [[likely]] {
      copy(living[i], gaps[i]);
    } else {
      rise(gaps[i], heap[living[i]], extension_at(living[i]));
    }
  }
  dead_ -= size - end;
  heap_.truncate(end);
  drop_dead_end();
}

void TimerQueue::drop_dead_end() noexcept {
  while (!heap_.empty() && is_dead(heap_[heap_.size() - 1])) {
    heap_.pop_back();
    --dead_;
  }
}

void TimerQueue::drop_dead_first_slowly() noexcept {
  do {
    --dead_;
    take_out(0);
  } while (!heap_.empty() && is_dead(heap_[0]));
}

// What postpone() cannot do.
void TimerQueue::move(Node& node, TimePoint deadline) noexcept {
  const std::uint32_t place = node.timer;
  if (place == kNowhere) {
    --popped_;  // so there is room
    return node.timer_form == TimerForm::compact ? add_compact(node, deadline)
                                                 : add_extended(node, deadline);
  }
  const Extension extension(deadline, next_sequence_++);
  if (node.timer_form == TimerForm::compact) node.sequence = extension.sequence();
  if (deadline < heap_[place].key) return rise(place, {deadline, node}, &extension);
  if (node.timer_form == TimerForm::extended && deadline > heap_[place].key) {
    extensions_[place] = extension;
    return;
  }
  rise(sink_gap(place), {deadline, node}, &extension);
  drop_dead_first();
}

// Puts nodes at the top that were moved later where they belong, until one is due.
Node* TimerQueue::due_slowly(TimePoint now) noexcept {
  while (!heap_.empty() && heap_[0].key <= now) {
    Node& node = heap_[0].node();
    if (!heap_[0].is_extended() || extensions_[0].deadline() == heap_[0].key) return &node;
    const Extension extension = extensions_[0];
    rise(sink_gap(0), {extension.deadline(), node}, &extension);
    drop_dead_first();
  }
  return nullptr;
}

void TimerQueue::pop(Node& node) noexcept {
  take_out(0);
  node.timer = kNowhere;
  ++popped_;
  drop_dead_first();
}

void TimerQueue::move_first(Node& node, TimePoint deadline) noexcept {
  const Extension extension(deadline, next_sequence_++);
  if (node.timer_form == TimerForm::compact) node.sequence = extension.sequence();
  rise(sink_gap(0), {deadline, node}, &extension);
  drop_dead_first();
}

std::optional<TimePoint> TimerQueue::deadline(const Node& node) const noexcept {
  if (node.timer == kNowhere) return std::nullopt;
  if (node.timer_form == TimerForm::extended) return extensions_[node.timer].deadline();
  return heap_[node.timer].key;
}

// So many may be timed, and as many be left behind.
void TimerQueue::reserve(std::size_t count) {
  const std::size_t room = 2 * count + 1;
  if (room <= heap_.capacity()) return;
  extensions_.reserve(room);
  heap_.reserve(room);
}

void TimerQueue::grow() {
  const std::size_t room = GrowArray<Entry>::round_up(heap_.size() + popped_ + 1);
  if (extensions_.capacity() != 0) extensions_.reserve(room);
  heap_.reserve(room);
}

void TimerQueue::make_extensions() { extensions_.reserve(heap_.capacity()); }

bool TimerQueue::try_make_extensions() noexcept {
  try {
    make_extensions();
  } catch (const std::bad_alloc&) {
    return false;
  }
  return true;
}

bool TimerQueue::check_invariants() const noexcept {
  std::size_t dead = 0;
  for (std::uint32_t i = 0; i < heap_.size(); ++i) {
    const Entry& entry = heap_[i];
    const bool is_somebodys = !is_dead(entry);
    if (!is_somebodys) ++dead;
    if (is_somebodys && entry.node().timer != i) return false;
    if (is_somebodys && deadline(entry.node()) < entry.key) return false;
    const auto own = rank(entry, extension_at(i));
    for (std::uint32_t above = i; above > 0;) {
      above = parent_of(above);
      if (heap_[above].key > entry.key) return false;
      const auto other = rank(heap_[above], extension_at(above));
      const bool same_key = heap_[above].key == entry.key;
      if (same_key && own && other && was_set_before(*own, *other)) return false;
    }
  }
  return dead == dead_ && heap_.capacity() >= heap_.size() + popped_ &&
         (heap_.empty() || !is_dead(heap_[0]));
}

}  // namespace event_cpp::detail
