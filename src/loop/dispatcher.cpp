#include "loop/dispatcher.hpp"

#include <algorithm>

#include "loop/loop.hpp"

namespace event_cpp::detail {

void Dispatcher::remove(Node& node) noexcept {
  ActiveQueue& active = queue(ActiveQueue::priority_of(node));
  active.remove(node);
  if (!loop_.running()) static_cast<void>(active.rewind());  // nobody counts on its slots
  node.fired = 0;
}

// So many slots of each priority.
void Dispatcher::run_levels(std::uint32_t high, std::uint32_t middle, std::uint32_t low) {
  static_assert(kPriorities == 3);
  if (high > 0) run_level(0, high);
  until_poll_ = slice_;
  if (middle > 0) run_level(1, middle);
  if (low > 0) run_level(2, low);
}

// Everything is as it shall be after the callback before it runs: it may do anything to the event.
[[gnu::always_inline]] inline void Dispatcher::fire(Loop& loop, Node& node) {
  loop.prepare_to_fire(node);
  const auto fired = static_cast<Events>(node.fired);
  node.fired = 0;
  node.ops->call(node, fired);
}

inline void Dispatcher::run_level(std::size_t level, std::uint32_t slots) {
  if ((level > 0 && slots > until_poll_) || timer_ != nullptr) return run_in_slices(level, slots);
  if (level > 0) until_poll_ -= slots;
  static_cast<void>(run_slice(level, slots));
}

void Dispatcher::run_in_slices(std::size_t level, std::uint32_t slots) {
  while (slots > 0) {
    if (level > 0 && until_poll_ == 0) poll_above(level);
    std::uint32_t slice = slots;
    if (level > 0) {
      slice = static_cast<std::uint32_t>(std::min<std::size_t>(slots, until_poll_));
      until_poll_ -= slice;
    }
    slots -= slice;
    if (timer_ != nullptr ? !run_slice_timed(level, slice) : !run_slice(level, slice)) return;
  }
}

// Returns false if stop_now() ended it.
bool Dispatcher::run_slice(std::size_t level, std::uint32_t slots) {
  ActiveQueue& active = active_[level];
  std::uint64_t& callbacks = callbacks_[level];
  // In registers: a callback may change any member, for all that the compiler knows.
  Loop& loop = loop_;
  const Attention& attention = attention_;
  for (; slots > 0; --slots) {
    if (attention.test(Attention::kStopNow)) return false;
    Node* const slot = active.pop();
    if (ActiveQueue::is_node(slot)) [[likely]] {
      ++callbacks;
      fire(loop, *slot);
    } else if (slot == ActiveQueue::posted()) {
      slots -= run_posted(level, slots) - 1;
    }
  }
  active.rewind_if_all_ran();
  return true;
}

void Dispatcher::run_only(Node& node) {
  ++callbacks_[index(node.priority)];
  fire(loop_, node);
}

bool Dispatcher::run_slice_timed(std::size_t level, std::uint32_t slots) {
  timer_->start();
  for (; slots > 0; --slots) {
    Node* const next = active_[level].first();
    if (next == ActiveQueue::hole()) {
      active_[level].pop_hole();
      continue;
    }
    const bool internal = ActiveQueue::is_node(next) && next->kind() == NodeKind::internal;
    const CallbackTime measured = timer_->begin(next, static_cast<Priority>(level));
    if (!run_slice(level, 1)) return false;
    if (!internal) timer_->end(measured);
  }
  return true;
}

// Runs the function that was popped, and up to `most` with those of its row. Returns how many.
std::uint32_t Dispatcher::run_posted(std::size_t level, std::uint32_t most) {
  ActiveQueue& active = active_[level];
  std::uint64_t& callbacks = callbacks_[level];
  std::uint32_t ran = 0;
  do {
    ++callbacks;
    ++ran;
    posts_.run(static_cast<Priority>(level));
  } while (ran < most && !attention_.test(Attention::kStopNow) && active.pop_posted());
  return ran;
}

// A slice has run.
void Dispatcher::poll_above(std::size_t level) {
  if (loop_.may_become_active_above(level)) {
    loop_.poll_between_slices();  // the queues do not begin at the front: their slots are counted
    if (order_ != nullptr) pick_order(level);
    run_levels(active_[0].slots(), level > 1 ? active_[1].slots() : 0, 0);
  }
  until_poll_ = slice_;  // whatever ran above, this priority gets its slice
}

// Of what waits in the highest `levels` queues. Requires: nobody counts on their slots.
void Dispatcher::pick_order(std::size_t levels) {
  for (std::size_t level = 0; level < levels; ++level) active_[level].reorder(*order_);
}

}  // namespace event_cpp::detail
