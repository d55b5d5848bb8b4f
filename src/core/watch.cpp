// The loop's side of an event: attach, detach, and what else its owner asks for.
#include <cerrno>
#include <new>

#include "core/loop.hpp"
#include "event/error.hpp"

namespace event::detail {
namespace {

constexpr Events kAllConditions = FdTable::kConditions | Events::timeout;

std::error_code system_error(int error) noexcept { return {error, std::system_category()}; }

}  // namespace

std::error_code Loop::attach(Node& node, Duration first, Duration timeout) noexcept {
  assert_thread();
  if (node.attached) return Errc::already_attached;
  const bool on_descriptor = any(node.events & FdTable::kConditions);
  const bool timed = first > Duration::zero() || any(node.events & Events::timeout);
  if (first < Duration::zero() || timeout < Duration::zero() || (!on_descriptor && !timed) ||
      (on_descriptor && node.descriptor < 0)) {
    return Errc::invalid_event;
  }
  if (on_descriptor && any(node.events & Events::edge) && !backend_->has_edge()) {
    return Errc::unsupported;
  }
  if (timed) {
    try {
      timers_.set(node, later(real_time(), first));
    } catch (const std::bad_alloc&) {
      return system_error(ENOMEM);
    }
  }
  if (on_descriptor) {
    if (const int error = table_.add(node); error != 0) {
      if (timed) timers_.remove(node);
      return system_error(error);
    }
  }
  node.attached = true;
  node.timeout = timeout;
  count_attached(node, true);
  return {};
}

bool Loop::detach(Node& node) noexcept {
  assert_thread();
  forget_active(node);
  const bool attached = node.attached;
  if (attached) end_watch(node);
  if (node.linked) table_.detached(node);  // also of a one-shot that fired and is remembered
  return attached;
}

std::error_code Loop::rearm(Node& node, Duration timeout) noexcept {
  assert_thread();
  const bool timed = timeout > Duration::zero() || any(node.events & Events::timeout);
  const bool on_descriptor = any(node.events & FdTable::kConditions);
  if (!node.attached || timeout < Duration::zero() || (!timed && !on_descriptor)) {
    return Errc::invalid_event;
  }
  if (timed) {
    try {
      timers_.set(node, later(real_time(), timeout));
    } catch (const std::bad_alloc&) {
      return system_error(ENOMEM);
    }
  } else if (node.timer_form != TimerForm::none) {
    timers_.remove(node);
  }
  node.timeout = timeout;
  // The old deadline may have passed already: then its fire is called off.
  node.fired = static_cast<std::uint8_t>(static_cast<Events>(node.fired) & ~Events::timeout);
  if (node.fired == 0) forget_active(node);
  return {};
}

std::error_code Loop::assign(Node& node, int fd, Events events) noexcept {
  assert_thread();
  if (node.attached) return Errc::already_attached;
  release(node);
  node.descriptor = fd;
  node.events = events;
  node.timeout = Duration::zero();
  return {};
}

// Nothing here refers to the node any more.
void Loop::release(Node& node) noexcept {
  assert_thread();
  forget_active(node);
  if (node.attached) end_watch(node);
  if (node.linked) table_.forget(node);
}

void Loop::activate(Node& node, Events fired) noexcept {
  assert_thread();
  fired &= kAllConditions;
  if (!any(fired)) return;
  if (node.active == Node::kNowhere) queue(node.priority).push_from_spare(node);
  node.fired = static_cast<std::uint8_t>(static_cast<Events>(node.fired) | fired);
}

void Loop::set_keeps_alive(Node& node, bool on) noexcept {
  assert_thread();
  if (node.attached) count_attached(node, false);
  node.keeps_alive = on;
  if (node.attached) count_attached(node, true);
}

void Loop::set_priority(Node& node, Priority priority) noexcept {
  assert_thread();
  if (node.attached) count_attached(node, false);
  node.priority = Node::valid(priority);
  if (node.attached) count_attached(node, true);
}

std::optional<TimePoint> Loop::deadline(const Node& node) const noexcept {
  if (node.timer_form == TimerForm::none) return std::nullopt;
  const TimePoint deadline = timers_.deadline(node);
  return deadline != TimePoint::min() ? std::optional(deadline) : std::nullopt;
}

void Loop::reserve(std::size_t descriptors, std::size_t timers) {
  table_.reserve(descriptors);
  backend_->reserve(descriptors);
  timers_.reserve(descriptors + timers);
  for (ActiveQueue& queue : active_) queue.reserve(descriptors + timers);
  // One more than can be ready, so that it is never full: then it would grow.
  if (batch_.taken() && batch_.capacity() <= descriptors && !batch_.resize(descriptors + 1)) {
    throw std::bad_alloc();
  }
}

std::size_t Loop::size() const noexcept { return attached_[0] + attached_[1] + attached_[2]; }

void Loop::forget_active(Node& node) noexcept {
  if (node.active == Node::kNowhere) return;
  ActiveQueue& active = queue(ActiveQueue::priority_of(node));
  active.remove(node);
  if (!running_) active.rewind();  // nobody counts on its slots
  node.fired = 0;
}

void Loop::count_attached(const Node& node, bool attached) noexcept {
  const std::size_t change = attached ? 1 : static_cast<std::size_t>(-1);
  attached_[static_cast<std::size_t>(node.priority)] += change;
  if (node.keeps_alive) keeping_alive_ += change;
}

// Detached, as far as the timers and the counts go; the descriptor's registration is remembered.
void Loop::end_watch(Node& node) noexcept {
  node.attached = false;
  count_attached(node, false);
  if (node.timer_form != TimerForm::none) timers_.remove(node);
  if (node.lost) table_.detached(node);
}

}  // namespace event::detail
