// Clocks that other things than the passing of time move: the time of day, and the time that goes
// on while the machine is suspended.
#pragma once

#include <system_error>

#include "base/unique_fd.hpp"
#include "event/time.hpp"

namespace event_cpp::detail {

// A descriptor that becomes readable when such a clock has reached a time, or was set. One file for
// each kind of system; to backends it is a descriptor like any other.
class TimerFd {
 public:
  enum class Of : unsigned char { wall, boottime };

  // Opens it, anew if it is open. Returns 0 or an errno; ENOTSUP where the system has no such
  // thing.
  int open(Of clock) noexcept;

  int fd() const noexcept { return fd_.get(); }

  // Readable from `since_epoch` on, instead of what was said before. Watches for edges see it.
  // Returns false if the system refuses.
  bool arm(Duration since_epoch) noexcept;

  // Not readable any more.
  void drain() const noexcept;

 private:
  UniqueFd fd_;
  [[maybe_unused]] Of clock_ = Of::wall;
};

// The time of CLOCK_BOOTTIME; of the monotonic clock where there is none.
TimePoint boot_time() noexcept;

}  // namespace event_cpp::detail
