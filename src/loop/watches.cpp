#include "loop/watches.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <new>

#include "base/resource_exhausted.hpp"
#include "event/error.hpp"
#include "loop/loop.hpp"

namespace event_cpp::detail {
namespace {

// What cannot be asked for together with exclusive. See epoll_ctl(2).
constexpr Events kNotExclusive = Events::closed | Events::urgent;
constexpr Errc kNothing{};
// Why an event fires when its deadline has come.
constexpr Events kTimedOut = Events::timeout | Node::kTicked;

}  // namespace

Watches::Watches(Loop* loop, const Options& options)
    : clock_(options),
      kernel_(options.backend),
      slack_(std::max(options.slack, Duration::zero())),
      order_(options.order),
      supported_(kernel_.traits().supported),
      table_(kernel_.files(), kernel_.batch()),
      signals_(kernel_.waker(), kernel_.poller()),
      blocked_signals_(&kBlockedSignalsOps, loop, -1, Events::read | Events::persist,
                       Priority::high),
      processes_(kernel_.poller()) {
  count_forks();
  take_over();
}

// A debug build says who forgot after_fork().
inline Outcome Watches::have_own_kernel(const Node& node) noexcept {
  if (is_ours()) [[likely]]
    return {};
  return Outcome::of_errno(node.loop->restart_after_fork().value());
}

Outcome Watches::attach(Node& node, Duration first, Duration timeout) noexcept {
  thread_.assert_here();
  if (node.attached) [[unlikely]]
    return Outcome(Errc::already_attached);
  if (first < Duration::zero() || timeout < Duration::zero()) [[unlikely]]
    return attach_overdue(node, first, timeout);
  const bool more = any(node.events & kBesideTime);
  if (first != Duration::zero() || any(node.events & Events::timeout)) {
    const TimePoint deadline = later(clock_.now(), first);
    return more ? attach_watch(node, true, deadline, timeout)
                : attach_timer(node, deadline, timeout);
  }
  if (!more) return Outcome(Errc::nothing_to_wait_for);
  if (!table_.still_watches(node) || !is_ours()) {
    return attach_watch(node, false, TimePoint(), timeout);
  }
  // A one-shot that fired: it was checked when it was attached first. Two stores do it: row
  // "ring-oneshot" of bench/costs.txt.
  assert_same_file(node);
  begin_watch(node, timeout);
  return {};
}

// A time below zero has passed.
[[gnu::cold]] Outcome Watches::attach_overdue(Node& node, Duration first,
                                              Duration timeout) noexcept {
  const TimePoint deadline = later(clock_.now(), std::max(first, Duration::zero()));
  return attach_ticker_at(node, deadline, timeout);
}

// assign() and attach() in one.
[[gnu::noinline]] Outcome Watches::attach_to(Node& node, int fd, Events events,
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

Outcome Watches::attach_at(Node& node, TimePoint deadline) noexcept {
  thread_.assert_here();
  if (node.attached) return Outcome(Errc::already_attached);
  constexpr Events kMore = kBesideTime | Events::persist;
  if (any(node.events & kMore) || !is_ours() || !timers_.takes_no_memory(node)) [[unlikely]] {
    const bool more = any(node.events & kBesideTime);
    const Duration timeout = period_of(node);
    return more ? attach_watch(node, true, deadline, timeout)
                : attach_timer(node, deadline, timeout);
  }
  // What it comes to for a timer, without a call: rows "timers add, shared" of bench/costs.txt.
  begin_watch(node, Node::kAbsolute);
  timers_.add_compact(node, deadline);
  return {};
}

Outcome Watches::attach_ticker_at(Node& node, TimePoint first, Duration period) noexcept {
  thread_.assert_here();
  if (node.attached) return Outcome(Errc::already_attached);
  period = std::max(period, Duration::zero());
  const bool more = any(node.events & kBesideTime);
  return more ? attach_watch(node, true, first, period) : attach_timer(node, first, period);
}

// A deadline and nothing else.
[[gnu::noinline]] Outcome Watches::attach_timer(Node& node, TimePoint deadline,
                                                Duration timeout) noexcept {
  if (const Outcome outcome = have_own_kernel(node); outcome.failed()) return outcome;
  try {
    timers_.add(node, deadline);
  } catch (const std::bad_alloc&) {
    return Outcome::of_errno(ENOMEM);
  }
  begin_watch(node, timeout);
  return {};
}

// Whether what it asks for makes sense, and this backend can do it: what is wrong, or kNothing.
inline Errc Watches::check_watch(const Node& node) const noexcept {
  if (!any(node.events & kOnFile)) {
    return kernel_.can_watch() || !any(node.events & Events::signal) ? kNothing : Errc::unsupported;
  }
  if (any(node.events & Events::signal)) return Errc::unsupported;
  if (node.fd() < 0) return Errc::descriptor_missing;
  const Events asked = node.events & (kOnFile | FdTable::kOptions);
  if (any(asked & ~supported_)) return Errc::unsupported;
  if (any(asked & Events::exclusive) && any(asked & kNotExclusive)) return Errc::unsupported;
  return kNothing;
}

// Attaching an event again costs no system call, so that a release build cannot tell. Nor can a
// kernel that has no memory for the answer.
inline void Watches::assert_same_file(const Node& node) noexcept {
  [[maybe_unused]] const auto is_other_file = [&] {
    const int error = table_.check_still_same_file(node);
    return error != 0 && !is_resource_exhausted(error);
  };
  assert(!(table_.still_watches(node) && is_other_file()) &&
         "the fd does not stand for the file of the last attach(): call assign() first");
  static_cast<void>(node);
}

// A descriptor or a signal, and a deadline if there is one.
Outcome Watches::attach_watch(Node& node, bool timed, TimePoint deadline,
                              Duration timeout) noexcept {
  if (const Outcome outcome = have_own_kernel(node); outcome.failed()) return outcome;
  if (const Errc wrong = check_watch(node); wrong != kNothing) return Outcome(wrong);
  if (timed) {
    if (const Outcome outcome = set_deadline(node, deadline); outcome.failed()) return outcome;
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

inline Outcome Watches::set_deadline(Node& node, TimePoint deadline) noexcept {
  try {
    timers_.set(node, deadline);
  } catch (const std::bad_alloc&) {
    return Outcome::of_errno(ENOMEM);
  }
  return {};
}

Outcome Watches::attach_alarm(Node& node, WallTime when) noexcept {
  thread_.assert_here();
  if (node.attached) return Outcome(Errc::already_attached);
  if (const Outcome outcome = have_own_kernel(node); outcome.failed()) return outcome;
  try {
    if (alarms_ == nullptr) {
      auto alarms = std::make_unique<Alarms>(*node.loop, clock_);
      if (const int error = alarms->watch_clock(table_, kernel_); error != 0) {
        return Outcome::of_errno(error);
      }
      alarms_ = std::move(alarms);
    }
    alarms_->queue.set(node, from_wall(when));
  } catch (const std::bad_alloc&) {
    return Outcome::of_errno(ENOMEM);
  }
  begin_watch(node, node.timeout);
  return {};
}

int Watches::add_signal(Node& node) noexcept {
  if (any(node.events & Node::kOnProcess)) return processes_.add(node);
  if (const int error = signals_.add(node); error != 0) return error;
  const int error = watch_blocked_signals();
  if (error != 0) signals_.remove(node);
  return error;
}

void Watches::remove_signal(Node& node) noexcept {
  if (any(node.events & Node::kOnProcess)) {
    processes_.remove(node);
  } else {
    signals_.remove(node);
  }
}

// Signals that stay pending, as they are blocked, are watched for as well, where that can be.
// Returns an errno only if the kernel has no room for it now.
int Watches::watch_blocked_signals() noexcept {
  PendingSignals& blocked = signals_.blocked();
  int error = 0;
  if (!blocked.is_open()) {
    error = blocked.open();
    if (error == 0) error = table_.add_internal(blocked_signals_, blocked.fd());
    if (error != 0) blocked.close();
  }
  if (blocked.is_open() && blocked.fd() < 0) signals_.take_pending();
  return is_resource_exhausted(error) ? error : 0;
}

const NodeOps Watches::kBlockedSignalsOps{&Watches::on_blocked_signals, nullptr, NodeKind::internal,
                                          nullptr};

void Watches::on_blocked_signals(Node& node, Events) {
  node.loop->uncount_callback();
  node.loop->watches().signals_.take_blocked();
}

bool Watches::detach(Node& node) noexcept {
  thread_.assert_here();
  if (any(node.events & kBesideTime) || node.linked || node.active != Node::kNowhere ||
      !is_ours()) {
    return detach_slowly(node);
  }
  // A timer, and being in use it is attached: rows "timers cancel" of bench/costs.txt.
  count_attached(node, false);
  node.attached = false;
  timers_.remove(node);
  return true;
}

bool Watches::detach_alarm(Node& node) noexcept {
  thread_.assert_here();
  return detach_slowly(node);
}

bool Watches::detach_slowly(Node& node) noexcept {
  if (!is_ours()) detach_after_fork();
  if (node.active != Node::kNowhere) deactivate(node);
  const bool attached = node.attached;
  if (attached) end_watch(node);
  if (node.linked) table_.detached(node);  // also of a one-shot that fired and is remembered
  return attached;
}

// It does not run any more. Nobody counts on the slots of a queue while the loop does not run.
void Watches::deactivate(Node& node) noexcept {
  active_.remove(node);
  if (!thread_.running()) static_cast<void>(active_.rewind());
}

// What was due for these reasons alone does not run any more.
inline void Watches::call_off(Node& node, Events reasons) noexcept {
  if (node.active == Node::kNowhere) [[likely]]
    return;
  node.fired = static_cast<std::uint8_t>(static_cast<Events>(node.fired) & ~reasons);
  if (node.fired == 0) deactivate(node);
}

Outcome Watches::rearm(Node& node, Duration timeout) noexcept {
  thread_.assert_here();
  if (!node.attached) return attach(node, timeout, timeout);
  const bool timed = timeout != Duration::zero() || any(node.events & Events::timeout);
  if (timed) {
    timeout = std::max(timeout, Duration::zero());
    return move_deadline(node, later(clock_.now(), timeout), timeout);
  }
  if (!any(node.events & kBesideTime)) [[unlikely]]
    return Outcome(Errc::nothing_to_wait_for);
  if (node.timer_form != TimerForm::none) timers_.remove(node);
  node.timeout = timeout;
  call_off(node, kTimedOut);
  return {};
}

Outcome Watches::rearm_at(Node& node, TimePoint deadline) noexcept {
  thread_.assert_here();
  if (!node.attached) return attach_at(node, deadline);
  return move_deadline(node, deadline, period_of(node));
}

// The old deadline may have passed already, and its fire is due.
inline Outcome Watches::move_deadline(Node& node, TimePoint deadline, Duration timeout) noexcept {
  if (const Outcome outcome = set_deadline(node, deadline); outcome.failed()) return outcome;
  node.timeout = timeout;
  call_off(node, kTimedOut);
  return {};
}

Outcome Watches::modify(Node& node, Events events) noexcept {
  thread_.assert_here();
  constexpr Events kChangeable = kOnFile | FdTable::kOptions | Events::timeout | Events::persist;
  const Events before = node.events;
  node.events = (events & kChangeable) | (before & ~kChangeable);
  if (!node.attached) return {};
  const Outcome outcome = modify_attached(node);
  if (outcome.failed()) {
    node.events = before;
    return outcome;
  }
  // It fires after the others on its fd, as if it was attached now.
  if (!any(before & kOnFile) && node.linked) table_.put_last(node);
  // What it asks for no more may have been reported already.
  call_off(node, before & ~node.events & kOnFile);
  return {};
}

Outcome Watches::modify_attached(Node& node) noexcept {
  if (const Outcome outcome = have_own_kernel(node); outcome.failed()) return outcome;
  if (const Errc wrong = check_watch(node); wrong != kNothing) return Outcome(wrong);
  if (node.linked) return Outcome::of_errno(table_.interest_changed(node));
  // It has waited for a time alone so far.
  return any(node.events & kOnFile) ? Outcome::of_errno(table_.add(node)) : Outcome();
}

Outcome Watches::assign(Node& node, int fd, Events events) noexcept {
  thread_.assert_here();
  if (node.attached) return Outcome(Errc::already_attached);
  release(node);
  node.descriptor = fd;
  node.events = events & Node::kSettable;
  node.timeout = Duration::zero();
  return {};
}

inline void Watches::stop_watching(Node& node) noexcept {
  thread_.assert_here();
  if (!is_ours()) detach_after_fork();
  if (node.active != Node::kNowhere) deactivate(node);
  if (node.attached) end_watch(node);
}

void Watches::release(Node& node) noexcept {
  stop_watching(node);
  if (node.linked) table_.forget(node);
}

void Watches::release_before_close(Node& node) noexcept {
  stop_watching(node);
  if (node.linked) table_.forget_before_close(node);
}

void Watches::activate(Node& node, Events fired) noexcept {
  thread_.assert_here();
  fired &= kBesideTime | Events::timeout;
  if (!any(fired) || thread_.closing()) return;
  active_[node.priority].push_from_spare(node, fired);
}

void Watches::set_keeps_alive(Node& node, bool on) noexcept {
  thread_.assert_here();
  if (node.attached) count_attached(node, false);
  node.keeps_alive = on;
  if (node.attached) count_attached(node, true);
}

void Watches::set_priority(Node& node, Priority priority) noexcept {
  thread_.assert_here();
  if (node.attached) count_attached(node, false);
  node.priority = Node::valid(priority);
  if (node.attached) count_attached(node, true);
}

std::optional<TimePoint> Watches::deadline(const Node& node) const noexcept {
  if (node.timer_form == TimerForm::none) return std::nullopt;
  return node.kind() == NodeKind::alarm ? alarms_->queue.deadline(node) : timers_.deadline(node);
}

bool Watches::any_attached_above(std::size_t level) const noexcept {
  return std::any_of(attached_.begin(), attached_.begin() + static_cast<std::ptrdiff_t>(level),
                     [](std::size_t count) { return count > 0; });
}

void Watches::reserve(std::size_t descriptors, std::size_t timers) {
  reserved_ = std::max(reserved_, 2 * (descriptors + timers));
  table_.reserve(descriptors);
  timers_.reserve(descriptors + timers);
  active_.reserve(descriptors + timers);
  // One more than can be ready, so that it is never full: then it would grow.
  ReadyBatch& batch = kernel_.batch();
  if (batch.taken() && batch.capacity() <= descriptors && !batch.resize(descriptors + 1)) {
    throw std::bad_alloc();
  }
}

void Watches::shrink(std::size_t bytes) noexcept {
  active_.shrink(std::max(reserved_, bytes / sizeof(Node*)));
  table_.shrink(std::max(reserved_, bytes / sizeof(Node*)));
  timers_.shrink(std::max(reserved_, bytes / TimerQueue::kBytesPerTimer));
}

void Watches::clear() noexcept {
  const auto let_go = [this](Node& node) {
    if (node.timer_form != TimerForm::none) timers_of(node).remove(node);
    node.attached = false;
    node.fired = 0;
  };
  active_.clear(let_go);
  table_.clear(let_go);
  signals_.clear(let_go);
  processes_.clear(let_go);
  timers_.clear(let_go);
  if (alarms_ != nullptr) alarms_->queue.clear(let_go);
  attached_ = {};
  keeping_alive_ = 0;
}

// Of a persistent event, before its callback runs.
[[gnu::noinline]] void Watches::restart_timeout(Node& node) noexcept {
  if (any(node.events & kBesideTime) && clock_.knows_iteration()) [[likely]] {
    if (timers_.postpone_extended(node, later(clock_.iteration(), node.timeout))) [[likely]]
      return;
  }
  restart_timeout_slowly(node);
}

void Watches::restart_timeout_slowly(Node& node) noexcept {
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
