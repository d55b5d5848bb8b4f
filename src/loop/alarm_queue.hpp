// Deadlines of clocks that do not simply go on.
#pragma once

#include "event/detail/node.hpp"
#include "loop/clock.hpp"
#include "loop/fd_table.hpp"
#include "loop/kernel_side.hpp"
#include "loop/timer_queue.hpp"
#include "sys/timer_fd.hpp"

namespace event_cpp::detail {

// Wakes a loop by a clock that the backend's waits do not know: a timer of the kernel's, watched
// like any descriptor. It is set only when a deadline moves earlier, or after it has come.
class ClockWatch : private Node {
 public:
  explicit ClockWatch(Loop& owner) noexcept;

  // Opens the timer and watches it, anew if it was. Returns 0 or an errno; ENOTSUP: there is none.
  int open(TimerFd::Of clock, FdTable& table, const KernelSide& kernel) noexcept;

  // From now on the descriptor is readable once `deadline` has come. Returns false if the system
  // refuses: then it will not be.
  bool wake_at(TimePoint deadline) noexcept {
    if (is_armed_for(deadline)) return true;
    if (!linked || !timer_.arm(deadline.time_since_epoch())) return false;
    armed_ = deadline;
    return true;
  }
  bool is_armed_for(TimePoint deadline) const noexcept { return linked && deadline >= armed_; }

 private:
  static const NodeOps kOps;
  static void on_clock(Node& node, Events fired);

  TimerFd timer_;
  TimePoint armed_ = TimePoint::max();
};

// The time of day as the queue has it.
constexpr TimePoint from_wall(WallTime time) noexcept { return TimePoint(time.time_since_epoch()); }
constexpr WallTime to_wall(TimePoint time) noexcept { return WallTime(time.time_since_epoch()); }

// The alarms of a base: a timer queue whose deadlines are of the wall clock.
class Alarms {
 public:
  Alarms(Loop& loop, const LoopClock& clock) noexcept : watch_(loop), clock_(clock) {}

  // Has the kernel tell of the wall clock, where it can: without, the loop looks by itself. Returns
  // an errno only if the kernel has no room for it now.
  int watch_clock(FdTable& table, const KernelSide& kernel) noexcept;

  // By the wall clock as it is set now; Duration::max() without an alarm.
  Duration until_next() const noexcept;

  // Has the kernel wake the loop for the first alarm. Returns when the loop must look by itself, on
  // the clock that it waits by: never, if the kernel tells of changes of the wall clock.
  TimePoint wake_for_next() noexcept;

  // How long a wait by other means than the kernel's may be.
  Duration longest_wait() const noexcept;

  // How often a clock is looked at while it is waited for, if nothing tells of its changes.
  static constexpr Duration kLookAtClock = std::chrono::seconds(1);

  TimerQueue queue;

 private:
  ClockWatch watch_;
  const LoopClock& clock_;
};

}  // namespace event_cpp::detail
