// The loop's side of an event: attach, detach, and what else its owner asks for.
#include <algorithm>
#include <cassert>
#include <cerrno>
#include <new>

#include "base/resource_exhausted.hpp"
#include "event/error.hpp"
#include "loop/loop.hpp"

namespace event_cpp::detail {
namespace {

constexpr Events kOnFile = FdTable::kConditions;
// What cannot be asked for together with exclusive. See epoll_ctl(2).
constexpr Events kNotExclusive = Events::closed | Events::urgent;
constexpr Errc kNothing{};
constexpr Events kAllConditions = kOnFile | Events::timeout | Events::signal;

}  // namespace

Outcome Loop::attach(Node& node, Duration first, Duration timeout) noexcept {
  assert_thread();
  if (node.attached) [[unlikely]]
    return Outcome(Errc::already_attached);
  if (first < Duration::zero() || timeout < Duration::zero()) [[unlikely]]
    return attach_overdue(node, first, timeout);
  if (const Outcome outcome = have_own_kernel(); outcome.failed()) return outcome;
  const bool timed = first > Duration::zero() || any(node.events & Events::timeout);
  const bool more = any(node.events & (kOnFile | Events::signal));
  if (!timed) {
    if (!more) return Outcome(Errc::nothing_to_wait_for);
    if (!table_.still_watches(node)) return attach_watch(node, false, TimePoint(), timeout);
    // A one-shot that fired: it was looked at when it was attached first.
    assert_same_file(node);
    begin_watch(node, timeout);
    return {};
  }
  const TimePoint deadline = later(clock_.now(), first);
  return more ? attach_watch(node, true, deadline, timeout) : attach_timer(node, deadline, timeout);
}

// A time below zero has passed.
[[gnu::cold, gnu::noinline]] Outcome Loop::attach_overdue(Node& node, Duration first,
                                                          Duration timeout) noexcept {
  const TimePoint deadline = later(clock_.now(), std::max(first, Duration::zero()));
  return attach_at_slowly(node, deadline, std::max(timeout, Duration::zero()));
}

// assign() and attach() in one.
[[gnu::noinline]] Outcome Loop::attach_to(Node& node, int fd, Events events,
                                          Duration timeout) noexcept {
  const int former_fd = node.fd();
  const Events former_events = node.events;
  const Duration former_timeout = node.timeout;
  const auto fired = static_cast<Events>(node.fired);
  if (const Outcome outcome = assign(node, fd, events); outcome.failed()) return outcome;
  const Outcome outcome = attach(node, timeout, timeout);
  if (outcome.failed()) [[unlikely]] {
    node.descriptor = former_fd;
    node.events = former_events;
    node.timeout = former_timeout;
    activate(node, fired);
  }
  return outcome;
}

// A deadline and nothing else.
Outcome Loop::attach_timer(Node& node, TimePoint deadline, Duration timeout) noexcept {
  try {
    timers_.add(node, deadline);
  } catch (const std::bad_alloc&) {
    return Outcome::of_errno(ENOMEM);
  }
  begin_watch(node, timeout);
  return {};
}

Outcome Loop::attach_at(Node& node, TimePoint deadline) noexcept {
  assert_thread();
  if (node.attached) return Outcome(Errc::already_attached);
  constexpr Events kSlow = kOnFile | Events::signal | Events::persist;
  if (any(node.events & kSlow) || !is_ours() || !timers_.takes_no_memory(node)) [[unlikely]]
    return attach_at_slowly(node, deadline, timeout_after_deadline(node));
  begin_watch(node, Node::kAbsolute);
  timers_.add_compact(node, deadline);
  return {};
}

[[gnu::noinline]] Outcome Loop::attach_at_slowly(Node& node, TimePoint deadline,
                                                 Duration timeout) noexcept {
  if (const Outcome outcome = have_own_kernel(); outcome.failed()) return outcome;
  const bool more = any(node.events & (kOnFile | Events::signal));
  return more ? attach_watch(node, true, deadline, timeout) : attach_timer(node, deadline, timeout);
}

Outcome Loop::attach_ticker_at(Node& node, TimePoint first, Duration period) noexcept {
  assert_thread();
  if (node.attached) return Outcome(Errc::already_attached);
  return attach_at_slowly(node, first, std::max(period, Duration::zero()));
}

// What becomes of a persistent event's timeout once a deadline has come: a ticker has its period.
inline Duration Loop::timeout_after_deadline(const Node& node) noexcept {
  return is_ticker(node) ? node.timeout : Node::kAbsolute;
}

// Whether what it asks for makes sense, and this backend can do it: what is wrong, or kNothing.
inline Errc Loop::check_watch(const Node& node) const noexcept {
  if (!any(node.events & kOnFile)) {
    return has_kernel_side() || !any(node.events & Events::signal) ? kNothing : Errc::unsupported;
  }
  if (any(node.events & Events::signal)) return Errc::unsupported;
  if (node.fd() < 0) return Errc::descriptor_missing;
  const Events asked = node.events & (kOnFile | FdTable::kOptions);
  if (any(asked & ~supported_)) return Errc::unsupported;
  if (any(asked & Events::exclusive) && any(asked & kNotExclusive)) return Errc::unsupported;
  return kNothing;
}

// Attaching an event again costs no system call, so that a release build cannot tell.
inline void Loop::assert_same_file(const Node& node) noexcept {
  assert((!table_.still_watches(node) || table_.check_still_same_file(node) == 0) &&
         "the fd does not stand for the file of the last attach(): call assign() first");
  static_cast<void>(node);
}

// A descriptor or a signal, and a deadline if it is timed.
Outcome Loop::attach_watch(Node& node, bool timed, TimePoint deadline, Duration timeout) noexcept {
  if (const Errc wrong = check_watch(node); wrong != kNothing) return Outcome(wrong);
  if (timed) {
    try {
      timers_.set(node, deadline);
    } catch (const std::bad_alloc&) {
      return Outcome::of_errno(ENOMEM);
    }
  }
  assert_same_file(node);
  const int error = any(node.events & kOnFile) ? table_.add(node) : add_signal(node);
  if (error != 0) [[unlikely]] {
    if (timed) timers_.remove(node);
    return Outcome::of_errno(error);
  }
  begin_watch(node, timeout);
  return {};
}

inline void Loop::begin_watch(Node& node, Duration timeout) noexcept {
  node.attached = true;
  node.timeout = timeout;
  count_attached(node, true);
}

int Loop::add_signal(Node& node) noexcept {
  if (any(node.events & Node::kOnProcess)) return processes_.add(node);
  if (const int error = signals_.add(node); error != 0) return error;
  const int error = watch_blocked_signals();
  if (error != 0) signals_.remove(node);
  return error;
}

void Loop::remove_signal(Node& node) noexcept {
  if (any(node.events & Node::kOnProcess)) {
    processes_.remove(node);
  } else {
    signals_.remove(node);
  }
}

// Signals that stay pending, as they are blocked, are watched for as well, where that can be.
// Returns an errno only if the kernel has no room for it now.
int Loop::watch_blocked_signals() noexcept {
  PendingSignals& blocked = signals_.blocked();
  int error = 0;
  if (!blocked.is_open()) {
    error = blocked.open();
    if (error == 0) error = register_internal(blocked_signals_node_, blocked.fd());
    if (error != 0) blocked.close();
  }
  if (blocked.is_open() && blocked.fd() < 0) signals_.take_pending();
  return is_resource_exhausted(error) ? error : 0;
}

bool Loop::detach(Node& node) noexcept {
  assert_thread();
  if (any(node.events & kBesideTime) || node.linked || node.active != Node::kNowhere ||
      !is_ours()) {
    return detach_slowly(node);
  }
  end_timer(node);  // being in use, it is attached
  return true;
}

bool Loop::detach_slowly(Node& node) noexcept {
  if (!is_ours()) detach_after_fork();
  if (node.active != Node::kNowhere) dispatcher_.remove(node);
  const bool attached = node.attached;
  if (attached) end_watch(node);
  if (node.linked) table_.detached(node);  // also of a one-shot that fired and is remembered
  return attached;
}

Outcome Loop::rearm(Node& node, Duration timeout) noexcept {
  assert_thread();
  if (!node.attached) return attach(node, timeout, timeout);
  const bool timed = timeout != Duration::zero() || any(node.events & Events::timeout);
  if (timed) {
    timeout = std::max(timeout, Duration::zero());
    return move_deadline(node, later(clock_.now(), timeout), timeout);
  }
  if (!any(node.events & (kOnFile | Events::signal))) [[unlikely]]
    return Outcome(Errc::nothing_to_wait_for);
  if (node.timer_form != TimerForm::none) timers_.remove(node);
  node.timeout = timeout;
  call_off_timeout(node);
  return {};
}

Outcome Loop::rearm_at(Node& node, TimePoint deadline) noexcept {
  assert_thread();
  if (!node.attached) return attach_at(node, deadline);
  return move_deadline(node, deadline, timeout_after_deadline(node));
}

inline Outcome Loop::move_deadline(Node& node, TimePoint deadline, Duration timeout) noexcept {
  try {
    timers_.set(node, deadline);
  } catch (const std::bad_alloc&) {
    return Outcome::of_errno(ENOMEM);
  }
  node.timeout = timeout;
  call_off_timeout(node);
  return {};
}

// The old deadline may have passed already, and its fire is due.
inline void Loop::call_off_timeout(Node& node) noexcept {
  if (node.active == Node::kNowhere) [[likely]]
    return;
  dispatcher_.call_off(node, Events::timeout | Node::kTicked);
}

Outcome Loop::modify(Node& node, Events events) noexcept {
  assert_thread();
  constexpr Events kChangeable = kOnFile | FdTable::kOptions | Events::timeout | Events::persist;
  const Events before = node.events;
  node.events = (events & kChangeable) | (before & ~kChangeable);
  if (!node.attached) return {};
  const Outcome outcome = modify_attached(node);
  if (outcome.failed()) {
    node.events = before;
    return outcome;
  }
  // What it asks for no more may have been reported already.
  if (node.active != Node::kNowhere) {
    dispatcher_.call_off(node, before & ~node.events & kOnFile);
  }
  return {};
}

Outcome Loop::modify_attached(Node& node) noexcept {
  if (const Outcome outcome = have_own_kernel(); outcome.failed()) return outcome;
  if (const Errc wrong = check_watch(node); wrong != kNothing) return Outcome(wrong);
  if (node.linked) return Outcome::of_errno(table_.interest_changed(node));
  // It has waited for a time alone so far.
  return any(node.events & kOnFile) ? Outcome::of_errno(table_.add(node)) : Outcome();
}

Outcome Loop::assign(Node& node, int fd, Events events) noexcept {
  assert_thread();
  if (node.attached) return Outcome(Errc::already_attached);
  release(node);
  node.descriptor = fd;
  node.events = events & Node::kSettable;
  node.timeout = Duration::zero();
  return {};
}

// Nothing here refers to the node any more.
void Loop::release(Node& node) noexcept {
  assert_thread();
  if (!is_ours()) detach_after_fork();
  if (node.active != Node::kNowhere) dispatcher_.remove(node);
  if (node.attached) end_watch(node);
  if (node.linked) table_.forget(node);
}

void Loop::activate(Node& node, Events fired) noexcept {
  assert_thread();
  fired &= kAllConditions;
  if (!any(fired) || closing_) return;
  dispatcher_.activate(node, fired);
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
  return timers_of(node).deadline(node);
}

void Loop::reserve(std::size_t descriptors, std::size_t timers) {
  reserved_ = std::max(reserved_, 2 * (descriptors + timers));
  table_.reserve(descriptors);
  timers_.reserve(descriptors + timers);
  dispatcher_.reserve(descriptors + timers);
  // One more than can be ready, so that it is never full: then it would grow.
  if (batch_.taken() && batch_.capacity() <= descriptors && !batch_.resize(descriptors + 1)) {
    throw std::bad_alloc();
  }
}

std::size_t Loop::size() const noexcept { return attached_[0] + attached_[1] + attached_[2]; }

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

}  // namespace event_cpp::detail
