#include "loop/timer_queue.hpp"

#include <algorithm>
#include <new>

namespace event_cpp::detail {

std::uint32_t TimerQueue::least_of(std::uint32_t first, std::uint32_t end) const noexcept {
  std::uint32_t least = first;
  while (++first < end) {
    if (heap_[first].key < heap_[least].key) least = first;
  }
  return least;
}

// As a knockout: two of the three comparisons do not wait for another one.
inline std::uint32_t TimerQueue::least_of_four(std::uint32_t first) const noexcept {
  const Entry* const four = &heap_[first];
  const std::uint32_t low = four[1].key < four[0].key ? 1 : 0;
  const std::uint32_t high = four[3].key < four[2].key ? 3 : 2;
  return first + (four[high].key < four[low].key ? high : low);
}

inline void TimerQueue::copy(std::uint32_t from, std::uint32_t to) noexcept {
  const Entry& entry = heap_[from];
  heap_[to] = entry;
  entry.node().timer = to;
  if (entry.is_extended()) [[unlikely]]
    extensions_[to] = extensions_[from];
}

// Puts an entry at `index`, which is free, or above it. The extension is not in the way.
[[gnu::always_inline]] inline void TimerQueue::sift_up(std::uint32_t index, Entry entry,
                                                       const Extension* extension) noexcept {
  while (index > 0 && entry.key < heap_[parent_of(index)].key) {
    copy(parent_of(index), index);
    index = parent_of(index);
  }
  heap_[index] = entry;
  entry.node().timer = index;
  if (entry.is_extended()) extensions_[index] = *extension;
}

std::uint32_t TimerQueue::sift_new_up(std::uint32_t index, Entry entry) noexcept {
  do {
    copy(parent_of(index), index);
    index = parent_of(index);
  } while (index > 0 && entry.key < heap_[parent_of(index)].key);
  heap_[index] = entry;
  return entry.node().timer = index;
}

// Moves a hole down to the last level, past the least child each time. Returns where it is then.
[[gnu::always_inline]] inline std::uint32_t TimerQueue::sift_hole_down(
    std::uint32_t index) noexcept {
  const auto size = static_cast<std::uint32_t>(heap_.size());
  std::uint32_t child = first_child_of(index);
  for (; child + kArity <= size; child = first_child_of(index)) {
    const std::uint32_t least = least_of_four(child);
    copy(least, index);
    index = least;
  }
  if (child >= size) return index;
  const std::uint32_t least = least_of(child, size);
  copy(least, index);
  return least;
}

// Puts an entry at `index`, which is free, or below it. It belongs near the last level nearly
// always: so the hole is moved there without looking at the entry, which then goes up if it must.
[[gnu::always_inline]] inline void TimerQueue::replace(std::uint32_t index, Entry entry,
                                                       const Extension* extension) noexcept {
  sift_up(sift_hole_down(index), entry, extension);
}

// Fills the hole at `index` with the last entry.
inline void TimerQueue::take_out(std::uint32_t index) noexcept {
  heap_.pop_back();
  const std::size_t last = heap_.size();
  if (index != last) replace(index, heap_[last], extension_at(last));
}

void TimerQueue::add_slowly(Node& node, TimePoint deadline) {
  if (heap_.size() + reserved_ >= heap_.capacity()) grow();
  if (node.descriptor == -1) return add_compact(node, deadline);
  if (extensions_.capacity() == 0) make_extensions();
  add_extended(node, deadline);
}

void TimerQueue::add_extended(Node& node, TimePoint deadline) noexcept {
  node.timer_form = TimerForm::extended;
  const std::uint32_t index = append({deadline, node, true});
  extensions_[index] = Extension(deadline, next_sequence_++);
}

// What postpone() cannot do.
void TimerQueue::move(Node& node, TimePoint deadline) noexcept {
  if (node.timer == kNowhere) {
    --reserved_;  // so there is room
    return node.timer_form == TimerForm::compact ? add_compact(node, deadline)
                                                 : add_extended(node, deadline);
  }
  return_ties();
  const bool compact = node.timer_form == TimerForm::compact;
  const std::uint32_t index = node.timer;
  const TimePoint key = heap_[index].key;
  const Extension extension(deadline, next_sequence_++);
  if (compact) {
    node.sequence = extension.sequence();
  } else {
    extensions_[index] = extension;
  }
  if (deadline < key) {
    sift_up(index, {deadline, node}, &extension);
  } else if (compact && deadline > key) {
    replace(index, {deadline, node}, &extension);
    drop_first_tombstones();
  }
}

// Replaces the root, which goes, with the next tie. Returns false if there is none left.
inline bool TimerQueue::put_next_tie() noexcept {
  const auto index = static_cast<std::uint32_t>(first_tie());
  const Entry& tie = heap_[index];
  if (heap_[0].key != ties_key_ || tie.key != ties_key_ || is_tombstone(tie)) [[unlikely]]
    return put_next_tie_slowly();
  copy(index, 0);
  --ties_;
  --reserved_;
  return true;
}

// What remove() seldom meets: the root, a node that was popped, or one that is not timed.
void TimerQueue::remove_rare(std::uint32_t index, TimerForm form) noexcept {
  if (index == kNowhere) {
    if (form != TimerForm::none) --reserved_;
    return;
  }
  remove_root();
}

void TimerQueue::remove_root() noexcept {
  if (ties_ != 0 && put_next_tie()) return;
  take_out(0);
  drop_first_tombstones();
}

// Gives the node at the root another deadline, which is not before its key.
void TimerQueue::replace_root(Node& node, const Extension& extension) noexcept {
  const Entry entry(extension.deadline(), node);
  if (ties_ != 0 && put_next_tie()) {
    const std::uint32_t index = append(entry);
    if (entry.is_extended()) extensions_[index] = extension;
    return;
  }
  replace(0, entry, &extension);
  drop_first_tombstones();
}

// If the root was moved later it is sifted down; if it is tied the ties are put in order.
Node* TimerQueue::due_slowly(TimePoint now) noexcept {
  while (!heap_.empty() && heap_[0].key <= now) {
    Node& node = heap_[0].node();
    if (heap_[0].is_extended() && extensions_[0].deadline() > heap_[0].key) {
      replace_root(node, Extension(extensions_[0]));
      continue;
    }
    if (has_root_ties()) collect_ties();
    return &heap_[0].node();
  }
  return nullptr;
}

void TimerQueue::pop(Node& node) noexcept {
  remove_root();
  node.timer = kNowhere;
  ++reserved_;
}

void TimerQueue::move_first(Node& node, TimePoint deadline) noexcept {
  const Extension extension(deadline, next_sequence_++);
  if (node.timer_form == TimerForm::compact) node.sequence = extension.sequence();
  replace_root(node, extension);
}

// Moves the entries that have the root's key out of the heap, and sorts them by sequence number.
[[gnu::noinline]] void TimerQueue::collect_ties() noexcept {
  return_ties();
  ties_key_ = heap_[0].key;
  for (std::uint32_t child = kArity; child > 0; --child) {
    if (is_tied(child)) collect_ties_below(child);
  }
  add_tie(heap_[0], 0);  // it also stays where it is until the first one replaces it
  Entry* const ties = heap_.data() + first_tie();
  Entry* const end = ties + ties_;
  // While they are sorted, the age of each stands in the place of the key. Counted from the next
  // one, the sequence numbers are in order also where they wrapped.
  bool sorted = true;
  TimePoint previous{};
  for (Entry* tie = ties; tie != end; ++tie) {
    if (!tie->is_extended()) tie->key = age(tie->node().sequence);
    sorted &= previous <= tie->key;
    previous = tie->key;
  }
  if (!sorted) {
    std::sort(ties, end, [](const Entry& a, const Entry& b) { return a.key < b.key; });
  }
  auto index = static_cast<std::uint32_t>(first_tie());
  for (Entry* tie = ties; tie != end; ++tie, ++index) {
    if (tie->is_extended()) {
      const auto sequence = static_cast<std::uint32_t>(tie->key.time_since_epoch().count());
      extensions_[index].set(ties_key_, sequence + next_sequence_);
    }
    tie->key = ties_key_;
    tie->node().timer = index;
  }
  put_next_tie();
}

// From the end of the array to its front, so that ties that were set one after the other, and never
// moved, are in order already.
void TimerQueue::collect_ties_below(std::uint32_t index) noexcept {
  const std::uint32_t first = first_child_of(index);
  if (first < heap_.size()) {
    for (std::uint32_t child = first + kArity; child-- > first;) {
      if (is_tied(child)) collect_ties_below(child);
    }
  }
  // The last entry fills the hole; if it is a tie itself it must go first.
  while (is_tied(index)) {
    const auto last = static_cast<std::uint32_t>(heap_.size() - 1);
    const std::uint32_t taken = is_tied(last) ? last : index;
    const Entry entry = heap_[taken];
    if (entry.is_extended() && extensions_[taken].deadline() > ties_key_) {
      const Extension extension = extensions_[taken];
      replace(taken, {extension.deadline(), entry.node()}, &extension);
      continue;
    }
    const Entry filler = heap_[last];
    heap_.pop_back();
    if (is_tombstone(entry)) {
      --tombstones_;
    } else {
      add_tie(entry, taken);
    }
    if (taken != last) replace(taken, filler, extension_at(last));
  }
}

bool TimerQueue::put_next_tie_slowly() noexcept {
  if (heap_[0].key != ties_key_) {  // an earlier deadline was set meanwhile
    return_ties();
    return false;
  }
  // Ties that were removed, or moved later by postpone(), are passed over.
  for (std::size_t i = first_tie(); i < heap_.capacity(); ++i) {
    const Entry tie = heap_[i];
    if (!is_tombstone(tie) && tie.key == ties_key_) return put_next_tie();
    --ties_;
    --reserved_;
    if (is_tombstone(tie)) {
      --tombstones_;
    } else {
      append(tie);  // a changed key means that it has no extension
    }
  }
  return false;
}

// Puts the ties back into the heap: before what they cannot stand, and what is too rare to care.
void TimerQueue::return_ties() noexcept {
  while (ties_ != 0) {
    const std::size_t from = first_tie();
    const Entry tie = heap_[from];
    --ties_;
    --reserved_;
    if (is_tombstone(tie)) {
      --tombstones_;
    } else if (tie.is_extended()) {
      const Extension extension = extensions_[from];
      extensions_[append(tie)] = extension;
    } else {
      append(tie);
    }
  }
}

void TimerQueue::tidy() noexcept {
  return_ties();
  most_tombstones_ = heap_.size() / 2;
  // There are some on the last level, for that is three quarters of the heap.
  while (tombstones_ > most_tombstones_) tidy_some();
}

// Overwrites some tombstones on the last level with entries from the end of the array. Both are
// looked for before any is moved, so that no branch depends on which are tombstones; and in the
// order of the array, so that memory is not waited for.
void TimerQueue::tidy_some() noexcept {
  constexpr std::uint32_t kAtOnce = 64;
  const Entry* const heap = heap_.data();
  const auto size = static_cast<std::uint32_t>(heap_.size());
  const std::uint32_t first_leaf = parent_of(size - 1) + 1;
  std::uint32_t next = tidied_ < first_leaf || tidied_ >= size ? first_leaf : tidied_;
  const std::uint32_t stop = std::min(next + kAtOnce, size);
  std::array<std::uint32_t, kAtOnce> holes;
  std::uint32_t hole_count = 0;
  for (; next < stop; ++next) {
    holes[hole_count] = next;
    hole_count += is_tombstone(heap[next]) ? 1 : 0;
  }
  tidied_ = stop;
  std::array<std::uint32_t, kAtOnce> living;
  std::uint32_t found = 0;
  std::uint32_t end = size;
  while (found < hole_count && end > holes[found] + 1) {
    living[found] = --end;
    found += is_tombstone(heap[end]) ? 0 : 1;
  }
  for (std::uint32_t i = 0; i < found; ++i) {
    if (heap[living[i]].key >= heap[parent_of(holes[i])].key) [[likely]] {
      copy(living[i], holes[i]);
    } else {
      sift_up(holes[i], heap[living[i]], extension_at(living[i]));
    }
  }
  tombstones_ -= size - end;
  heap_.truncate(end);
  drop_last_tombstones();
}

void TimerQueue::drop_last_tombstones() noexcept {
  while (!heap_.empty() && is_tombstone(heap_[heap_.size() - 1])) {
    heap_.pop_back();
    --tombstones_;
  }
}

void TimerQueue::drop_first_tombstones_slowly() noexcept {
  do {
    --tombstones_;
    take_out(0);
  } while (!heap_.empty() && is_tombstone(heap_[0]));
}

std::optional<TimePoint> TimerQueue::deadline(const Node& node) const noexcept {
  if (node.timer == kNowhere) return std::nullopt;
  if (node.timer_form == TimerForm::extended) return extensions_[node.timer].deadline();
  return heap_[node.timer].key;
}

// So many may be timed, and as many be tombstones.
void TimerQueue::reserve(std::size_t count) {
  const std::size_t room = 2 * count + 2;
  if (room <= heap_.capacity()) return;
  return_ties();
  extensions_.reserve(room);
  heap_.reserve(room);
}

// Tombstones make room first, while they are more than those that may be above the last level.
void TimerQueue::grow() {
  return_ties();
  while (tombstones_ > heap_.size() / kArity) tidy_some();
  const std::size_t room = GrowArray<Entry>::round_up(heap_.size() + reserved_ + 1);
  if (extensions_.capacity() != 0) extensions_.reserve(room);
  heap_.reserve(room);
}

void TimerQueue::shrink(std::size_t most) noexcept {
  return_ties();
  const std::size_t used = heap_.size() + reserved_;
  if (used > heap_.capacity() / 4) return;
  heap_.shrink(2 * std::max(most + 1, used));
  if (extensions_.capacity() != 0) extensions_.shrink(heap_.capacity());
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
  std::size_t tombstones = 0;
  const auto is_right = [&](std::uint32_t index) {
    const Entry& entry = heap_[index];
    if (is_tombstone(entry)) return ++tombstones != 0;
    return entry.node().timer == index && deadline(entry.node()) >= entry.key;
  };
  for (std::uint32_t i = 0; i < heap_.size(); ++i) {
    if (!is_right(i) || (i > 0 && heap_[parent_of(i)].key > heap_[i].key)) return false;
  }
  if (ties_ != 0 && (heap_.empty() || heap_[0].key > ties_key_)) return false;
  std::optional<std::uint32_t> previous;  // the age of the tie before
  for (auto i = static_cast<std::uint32_t>(first_tie()); i < heap_.capacity(); ++i) {
    const Entry& tie = heap_[i];
    if (!is_right(i)) return false;
    if (is_tombstone(tie) || deadline(tie.node()) != ties_key_) continue;
    const std::uint32_t sequence =
        tie.is_extended() ? extensions_[i].sequence() : tie.node().sequence;
    const std::uint32_t age = sequence - next_sequence_;
    if (previous && *previous >= age) return false;
    previous = age;
  }
  if (heap_.empty()) return tombstones == 0 && tombstones_ == 0 && ties_ == 0;
  return tombstones == tombstones_ && reserved_ > ties_ && !is_tombstone(heap_[0]) &&
         heap_.capacity() >= heap_.size() + reserved_;
}

}  // namespace event_cpp::detail
