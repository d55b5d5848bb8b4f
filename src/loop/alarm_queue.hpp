// Deadlines of clocks that do not simply go on.
#pragma once

#include "event/detail/node.hpp"
#include "loop/timer_queue.hpp"
#include "sys/timer_fd.hpp"

namespace event_cpp::detail {

// Wakes a loop by a clock that the backend's waits do not know: a timer of the kernel's, watched
// like any descriptor. It is set only when a deadline moves earlier, or after it has come.
struct ClockWatch {
  ClockWatch(const NodeOps& ops, Loop& loop) noexcept
      : node(&ops, &loop, -1, Events::read | Events::persist, Priority::high) {}

  // From now on the descriptor is readable once `deadline` has come. Returns false if the system
  // refuses: then it will not be.
  bool wake_at(TimePoint deadline) noexcept {
    if (is_armed_for(deadline)) return true;
    if (!timer.arm(deadline.time_since_epoch())) return false;
    armed = deadline;
    return true;
  }
  bool is_armed_for(TimePoint deadline) const noexcept { return deadline >= armed; }

  TimerFd timer;
  Node node;
  TimePoint armed = TimePoint::max();
};

// The alarms of a base: a timer queue whose deadlines are of the wall clock.
struct Alarms : ClockWatch {
  using ClockWatch::ClockWatch;

  TimerQueue queue;
};

// The time of day as the queue has it.
constexpr TimePoint from_wall(WallTime time) noexcept { return TimePoint(time.time_since_epoch()); }
constexpr WallTime to_wall(TimePoint time) noexcept { return WallTime(time.time_since_epoch()); }

}  // namespace event_cpp::detail
