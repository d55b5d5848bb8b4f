// The loop's clocks beside the monotonic one: the time of day, and the one that goes on while the
// machine is suspended.
#include <algorithm>
#include <cerrno>
#include <new>

#include "base/resource_exhausted.hpp"
#include "event/error.hpp"
#include "loop/loop.hpp"

namespace event_cpp::detail {

Outcome Loop::attach_alarm(Node& node, WallTime when) noexcept {
  assert_thread();
  if (node.attached) return Outcome(Errc::already_attached);
  if (const Outcome outcome = have_own_kernel(); outcome.failed()) return outcome;
  try {
    if (alarms_ == nullptr) {
      auto alarms = std::make_unique<Alarms>(kClockOps, *this);
      if (const int error = watch_wall(*alarms); error != 0) return Outcome::of_errno(error);
      alarms_ = std::move(alarms);
      monotonic_ = false;
    }
    alarms_->queue.set(node, from_wall(when));
  } catch (const std::bad_alloc&) {
    return Outcome::of_errno(ENOMEM);
  }
  node.attached = true;
  count_attached(node, true);
  return {};
}

// Opens the clock's descriptor and watches it, anew if it was.
int Loop::watch_clock(ClockWatch& watch, TimerFd::Of clock) noexcept {
  if (!has_kernel_side()) return ENOTSUP;
  if (watch.node.linked) table_.forget(watch.node);
  watch.node.events |= supported_ & Events::edge;
  watch.armed = TimePoint::max();
  const int error = watch.timer.open(clock);
  return error != 0 ? error : register_internal(watch.node, watch.timer.fd());
}

// Has the kernel tell of the wall clock, where it can: without, the loop looks by itself. Returns
// an errno only if the kernel has no room for it now.
int Loop::watch_wall(Alarms& alarms) noexcept {
  if (options_.time != nullptr) return 0;  // not a clock of the kernel's
  const int error = watch_clock(alarms, TimerFd::Of::wall);
  return is_resource_exhausted(error) ? error : 0;
}

// The clock has come to a deadline, or was set: the next wait looks at both anew.
void Loop::on_clock(Node& node, Events) {
  Loop& loop = *node.loop;
  loop.uncount_callback();
  ClockWatch& watch =
      loop.boottime_ != nullptr && &node == &loop.boottime_->node ? *loop.boottime_ : *loop.alarms_;
  if (!any(node.events & Events::edge)) watch.timer.drain();
  watch.armed = TimePoint::max();
}

// By the wall clock as it is set now. Requires: alarms_ != nullptr.
Duration Loop::until_alarm() const noexcept {
  if (alarms_->queue.empty()) return Duration::max();
  return between(from_wall(clock_.wall()), alarms_->queue.next());
}

// Has the kernel wake the loop for the first alarm. Returns when the loop must look by itself, on
// the clock that it waits by: never, if the kernel tells of changes of the wall clock.
TimePoint Loop::wake_for_alarm() noexcept {
  if (alarms_->queue.empty()) return TimePoint::max();
  if (alarms_->node.linked && alarms_->wake_at(alarms_->queue.next())) return TimePoint::max();
  return later(clock_.now(), std::min(until_alarm(), kLookAtClock));
}

void Loop::wait_on_boottime(bool block) {
  TimePoint next = next_timer();
  if (alarms_ != nullptr) next = std::min(next, wake_for_alarm());
  TimePoint until = TimePoint::max();
  if (block && next != TimePoint::max()) {
    const TimePoint now = boot_time();
    block = next > now;
    // Without the kernel to tell, by the clock that stands still: a suspension shows a little late.
    if (block && !boottime_->wake_at(next)) {
      until = later(std::chrono::steady_clock::now(), std::min(next - now, kLookAtClock));
    }
  }
  wait_in_kernel(until, block);
  batch_.expired = true;
}

void Loop::collect_alarms() {
  TimerQueue& queue = alarms_->queue;
  if (queue.empty()) return;
  const TimePoint now = from_wall(clock_.wall());
  const TimePoint until = due_until(queue, now);
  while (Node* const node = queue.due(until)) {
    dispatcher_.make_active(*node, Events::timeout);
    count_late(queue.next(), now);
    queue.pop(*node);
  }
}

}  // namespace event_cpp::detail
