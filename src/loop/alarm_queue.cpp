#include "loop/alarm_queue.hpp"

#include <algorithm>
#include <cerrno>

#include "base/resource_exhausted.hpp"
#include "loop/loop.hpp"

namespace event_cpp::detail {

const NodeOps ClockWatch::kOps{&ClockWatch::on_clock, nullptr, NodeKind::internal, nullptr};

ClockWatch::ClockWatch(Loop& owner) noexcept
    : Node(&kOps, &owner, -1, Events::read | Events::persist, Priority::high) {}

int ClockWatch::open(TimerFd::Of clock, FdTable& table, const KernelSide& kernel) noexcept {
  if (!kernel.can_watch()) return ENOTSUP;
  if (linked) table.forget(*this);
  events |= kernel.traits().supported & Events::edge;
  armed_ = TimePoint::max();
  const int error = timer_.open(clock);
  return error != 0 ? error : table.add_internal(*this, timer_.fd());
}

// The clock has come to a deadline, or was set: the next wait looks at both anew.
void ClockWatch::on_clock(Node& node, Events) {
  auto& watch = static_cast<ClockWatch&>(node);
  watch.loop->uncount_callback();
  if (!any(watch.events & Events::edge)) watch.timer_.drain();
  watch.armed_ = TimePoint::max();
}

int Alarms::watch_clock(FdTable& table, const KernelSide& kernel) noexcept {
  if (clock_.is_source()) return 0;  // not a clock of the kernel's
  const int error = watch_.open(TimerFd::Of::wall, table, kernel);
  return is_resource_exhausted(error) ? error : 0;
}

Duration Alarms::until_next() const noexcept {
  return queue.empty() ? Duration::max() : between(from_wall(clock_.wall()), queue.next());
}

TimePoint Alarms::wake_for_next() noexcept {
  if (queue.empty() || watch_.wake_at(queue.next())) return TimePoint::max();
  return later(clock_.now(), std::min(until_next(), kLookAtClock));
}

Duration Alarms::longest_wait() const noexcept {
  const bool looks = !queue.empty() && !watch_.is_armed_for(queue.next());
  return std::min(until_next(), looks ? kLookAtClock : Duration::max());
}

}  // namespace event_cpp::detail
