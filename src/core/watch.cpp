// The loop's side of an event: attach, detach, and what else its owner asks for.
#include <cerrno>
#include <new>

#include "backend/shortage.hpp"
#include "core/loop.hpp"
#include "event/error.hpp"

namespace event::detail {
namespace {

constexpr Events kOnFile = FdTable::kConditions;
// What cannot be asked for together with exclusive. See epoll_ctl(2).
constexpr Events kNotExclusive = Events::closed | Events::urgent;
constexpr Errc kNothing{};
constexpr Events kAllConditions = kOnFile | Events::timeout | Events::signal;

std::error_code system_error(int error) noexcept { return {error, std::system_category()}; }

}  // namespace

// Whether the node makes sense, and this backend can do it: what is wrong with it, or kNothing.
inline Errc Loop::check(const Node& node, Duration first, Duration timeout) const noexcept {
  if (node.attached) return Errc::already_attached;
  const bool on_file = any(node.events & kOnFile);
  const bool on_signal = any(node.events & Events::signal);
  const bool timed = first > Duration::zero() || any(node.events & Events::timeout);
  if (first < Duration::zero() || timeout < Duration::zero() ||
      (!on_file && !timed && !on_signal) || (on_file && (node.descriptor < 0 || on_signal))) {
    return Errc::invalid_event;
  }
  if (!on_file) return kNothing;
  const Events asked = node.events & (kOnFile | FdTable::kOptions);
  if (any(asked & ~supported_)) return Errc::unsupported;
  if (any(asked & Events::exclusive) && any(asked & kNotExclusive)) {
    return Errc::unsupported;
  }
  return kNothing;
}

std::error_code Loop::attach(Node& node, Duration first, Duration timeout) noexcept {
  assert_thread();
  if (const Errc wrong = check(node, first, timeout); wrong != kNothing) return wrong;
  if (!is_ours()) {
    if (const std::error_code error = restart_after_fork()) return error;
  }
  const bool timed = first > Duration::zero() || any(node.events & Events::timeout);
  if (timed) {
    try {
      timers_.set(node, later(real_time(), first));
    } catch (const std::bad_alloc&) {
      return system_error(ENOMEM);
    }
  }
  int error = 0;
  if (any(node.events & kOnFile)) {
    error = table_.add(node);
  } else if (any(node.events & Events::signal)) {
    error = add_signal(node);
  }
  if (error != 0) {
    if (timed) timers_.remove(node);
    return system_error(error);
  }
  node.attached = true;
  node.timeout = timeout;
  count_attached(node, true);
  return {};
}

int Loop::add_signal(Node& node) noexcept {
  if (const int error = signals_.add(node); error != 0) return error;
  const int error = watch_blocked_signals();
  if (error != 0) signals_.remove(node);
  return error;
}

// Signals that this thread has blocked are watched for as well, where that can be. Returns an errno
// only if the kernel has no room for it now.
int Loop::watch_blocked_signals() noexcept {
  signals_.look_for_blocked();
  BlockedSignals& blocked = signals_.blocked();
  if (blocked.empty() != blocked_signals_node_.linked) return 0;
  if (blocked.empty()) {
    table_.forget(blocked_signals_node_);
    blocked.close();
    return 0;
  }
  int error = blocked.open();
  if (error == 0) error = register_internal(blocked_signals_node_, blocked.fd());
  return is_shortage(error) ? error : 0;
}

bool Loop::detach(Node& node) noexcept {
  assert_thread();
  if (!is_ours()) abandon();
  forget_active(node);
  const bool attached = node.attached;
  if (attached) end_watch(node);
  if (node.linked) table_.detached(node);  // also of a one-shot that fired and is remembered
  if (!running_) table_.let_go();
  return attached;
}

std::error_code Loop::rearm(Node& node, Duration timeout) noexcept {
  assert_thread();
  const bool timed = timeout > Duration::zero() || any(node.events & Events::timeout);
  const bool waits_for_more = any(node.events & (kOnFile | Events::signal));
  if (!node.attached || timeout < Duration::zero() || (!timed && !waits_for_more)) {
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
  if (!is_ours()) abandon();
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
  const TimePoint deadline = timers_of(node).deadline(node);
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
  if (!running_) static_cast<void>(active.rewind());  // nobody counts on its slots
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
  if (node.timer_form != TimerForm::none) timers_of(node).remove(node);
  if (any(node.events & Events::signal)) signals_.remove(node);
  if (node.linked || node.lost) table_.fired(node);
}

}  // namespace event::detail
