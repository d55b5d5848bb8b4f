// Waits that do not simply end at a time of the kernel's monotonic clock.
#pragma once

#include <optional>

#include "event/options.hpp"
#include "loop/alarm_queue.hpp"
#include "loop/clock.hpp"
#include "loop/kernel_side.hpp"
#include "loop/watches.hpp"

namespace event_cpp::detail {

// For a base that has alarms, and for one whose timeouts count by another clock: one that goes on
// while the machine is suspended, or a user's TimeSource.
class OtherClocks {
 public:
  // Errors: throws std::system_error if the kernel does not have the clock.
  OtherClocks(Loop& loop, const Options& options, Watches& watches);

  // As KernelSide::wait(), until the first timer or alarm is due.
  void wait(bool block);

  // Has fd() become readable when a deadline comes of a clock that the poller does not know.
  void show_deadlines() noexcept;

  // How long until a timer or an alarm is due, or the loop must look at a clock by itself.
  Duration longest_wait() noexcept;

  // While there are idle hooks there is no wait: a source of time moves on all the same.
  void skip_wait();

  // In the child of a fork. Returns 0 or an errno.
  int reopen() noexcept;

 private:
  TimePoint next_on_source(TimePoint time) noexcept;
  void wait_on_source(bool block);
  void wait_on_boottime(bool block);

  TimeSource* const source_;
  KernelSide& kernel_;
  Watches& watches_;
  LoopClock& clock_;
  std::optional<ClockWatch> boottime_;  // none: timeouts count by another clock
};

}  // namespace event_cpp::detail
