#include "loop/dispatcher.hpp"

#include <algorithm>

#include "loop/loop.hpp"

namespace event_cpp::detail {

void Dispatcher::run_active(std::size_t levels) {
  ActiveByPriority& active = watches_.active();
  if (order_ != nullptr) [[unlikely]] {
    for (std::size_t level = 0; level < levels; ++level) active[level].reorder(*order_);
  }
  // Counted before any of them runs.
  static_assert(kPriorities == 3);
  const std::uint32_t high = active[0].slots();
  const std::uint32_t middle = levels > 1 ? active[1].slots() : 0;
  const std::uint32_t low = levels > 2 ? active[2].slots() : 0;
  if (high > 0) run_level(0, high);
  until_poll_ = slice_;
  if (middle > 0) run_level(1, middle);
  if (low > 0) run_level(2, low);
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
  ActiveQueue& active = watches_.active()[level];
  std::uint64_t& callbacks = callbacks_[level];
  // In registers: a callback may change any member, for all that the compiler knows.
  Watches& watches = watches_;
  const Attention& attention = watches.kernel().attention();
  for (; slots > 0; --slots) {
    if (attention.test(Attention::kStopNow)) return false;
    Node* const slot = active.pop();
    if (ActiveQueue::is_node(slot)) [[likely]] {
      ++callbacks;
      const Events fired = watches.take_fired(*slot);
      slot->ops->call(*slot, fired);
    } else if (slot == ActiveQueue::posted()) {
      slots -= run_posted(level, slots) - 1;
    }
  }
  active.rewind_if_all_ran();
  return true;
}

// The same while callbacks are timed: that costs nothing where they are not.
bool Dispatcher::run_slice_timed(std::size_t level, std::uint32_t slots) {
  ActiveQueue& active = watches_.active()[level];
  timer_->start();
  for (; slots > 0; --slots) {
    Node* const next = active.first();
    if (next == ActiveQueue::hole()) {
      active.pop_hole();
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
  ActiveQueue& active = watches_.active()[level];
  std::uint64_t& callbacks = callbacks_[level];
  std::uint32_t ran = 0;
  do {
    ++callbacks;
    ++ran;
    posts_.run(static_cast<Priority>(level));
  } while (ran < most && !watches_.kernel().attention().test(Attention::kStopNow) &&
           active.pop_posted());
  return ran;
}

// A slice has run. The queues do not begin at the front meanwhile: their slots are counted.
void Dispatcher::poll_above(std::size_t level) {
  if (loop_.poll_above(level)) run_active(level);
  until_poll_ = slice_;  // whatever ran above, this priority gets its slice
}

}  // namespace event_cpp::detail
