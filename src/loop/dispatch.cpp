// From the active queues to the callbacks: user code runs here and nowhere else.
#include <algorithm>

#include "loop/loop.hpp"

namespace event_cpp::detail {

// Runs what is active now; what its callbacks make active waits for the next iteration.
void Loop::run_active() {
  static_assert(kPriorities == 3);
  run_levels(active_[0].slots(), active_[1].slots(), active_[2].slots());
}

// So many slots of each priority.
inline void Loop::run_levels(std::uint32_t high, std::uint32_t middle, std::uint32_t low) {
  if (high > 0) run_level(0, high);
  until_look_ = options_.slice;
  if (middle > 0) run_level(1, middle);
  if (low > 0) run_level(2, low);
}

// Everything is as it shall be after the callback before it runs: it may do anything to the event.
inline void Loop::fire(Node& node) {
  if (!any(node.events & Events::persist)) {
    end_one_shot(node);
  } else if (node.timer_form != TimerForm::none) {
    restart_timeout(node);
  }
  const auto fired = static_cast<Events>(node.fired);
  node.fired = 0;
  node.ops->call(node, fired);
}

inline void Loop::run_level(std::size_t level, std::uint32_t slots) {
  if ((level > 0 && slots > until_look_) || timing_ != nullptr) return run_in_slices(level, slots);
  if (level > 0) until_look_ -= slots;
  static_cast<void>(run_slice(level, slots));
}

// After each slice below the highest priority the kernel is asked, and what is more urgent runs.
void Loop::run_in_slices(std::size_t level, std::uint32_t slots) {
  while (slots > 0) {
    if (level > 0 && until_look_ == 0) look_above(level);
    std::uint32_t slice = slots;
    if (level > 0) {
      slice = static_cast<std::uint32_t>(std::min<std::size_t>(slots, until_look_));
      until_look_ -= slice;
    }
    slots -= slice;
    if (timing_ != nullptr ? !run_slice_timed(level, slice) : !run_slice(level, slice)) return;
  }
}

// Returns false if stop_now() ended it.
bool Loop::run_slice(std::size_t level, std::uint32_t slots) {
  ActiveQueue& active = active_[level];
  std::uint64_t& callbacks = stats_.callbacks[level];
  for (; slots > 0; --slots) {
    if (attention().test(Attention::kStopNow)) return false;
    Node* const slot = active.pop();
    if (ActiveQueue::is_node(slot)) [[likely]] {
      ++callbacks;
      fire(*slot);
    } else if (slot == ActiveQueue::posted()) {
      slots -= run_posted(level, slots) - 1;
    }
  }
  active.rewind_if_all_ran();
  return true;
}

// What look() found to be all that is to run.
void Loop::run_only(Node& node) {
  ++stats_.callbacks[static_cast<std::size_t>(node.priority)];
  fire(node);
}

bool Loop::run_slice_timed(std::size_t level, std::uint32_t slots) {
  timing_->mark = clock_.now();
  for (; slots > 0; --slots) {
    Node* const next = active_[level].first();
    if (next == ActiveQueue::hole()) {
      active_[level].pop_hole();
      continue;
    }
    const bool internal = ActiveQueue::is_node(next) && next->kind() == NodeKind::internal;
    CallbackTime measured = begin_timed(next, static_cast<Priority>(level));
    if (!run_slice(level, 1)) return false;
    if (!internal) end_timed(measured);
  }
  return true;
}

// Runs the function that was popped, and up to `most` with those of its row. Returns how many.
std::uint32_t Loop::run_posted(std::size_t level, std::uint32_t most) {
  ActiveQueue& active = active_[level];
  std::uint64_t& callbacks = stats_.callbacks[level];
  std::uint32_t ran = 0;
  do {
    ++callbacks;
    ++ran;
    posts_.run(static_cast<Priority>(level));
  } while (ran < most && !attention().test(Attention::kStopNow) && active.pop_posted());
  return ran;
}

// A slice has run: looks at the kernel, if something more urgent could have become active, and runs
// that.
void Loop::look_above(std::size_t level) {
  std::size_t above = 0;
  for (std::size_t i = 0; i < level; ++i) above += attached_[i];
  const bool posted = attention().test(Attention::posted_above(level));
  if ((above > 0 || posted) && !attention().test(Attention::kStops)) {
    look(false);  // the queues do not begin at the front again: their slots are counted
    run_levels(active_[0].slots(), level > 1 ? active_[1].slots() : 0, 0);
  }
  until_look_ = options_.slice;  // whatever ran above, this priority gets its slice
}

// Of a persistent event, before its callback runs.
[[gnu::noinline]] void Loop::restart_timeout(Node& node) noexcept {
  const bool waits_for_more = any(node.events & (FdTable::kConditions | Events::signal));
  if (waits_for_more && clock_.knows_iteration()) [[likely]] {
    if (timers_.postpone_extended(node, later(clock_.iteration(), node.timeout))) [[likely]]
      return;
  }
  restart_timeout_slowly(node);
}

void Loop::restart_timeout_slowly(Node& node) noexcept {
  const bool ticks = is_ticker(node);
  // A ticker that is due has got its next deadline when that was found; not so an event that was
  // due before modify() made it one.
  if (ticks && node.timeout > Duration::zero() && timers_.deadline(node)) return;
  if (node.timeout == Node::kAbsolute && (!ticks || node.linked)) {
    if (!timers_.deadline(node)) timers_.remove(node);  // it has come
    return;
  }
  timers_.set(node, later(clock_.iteration(), std::max(node.timeout, Duration::zero())));
}

// Before its callback runs, which may attach it again.
void Loop::end_one_shot(Node& node) noexcept {
  if (node.attached) end_watch(node);
}

}  // namespace event_cpp::detail
