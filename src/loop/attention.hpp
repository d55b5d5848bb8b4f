// What other threads and signal handlers want of a loop, and whether it must be woken for it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace event_cpp::detail {

// One word, so that asking and going to sleep cannot miss each other: whoever sets a bit and finds
// the loop asleep takes the `asleep` bit away and wakes it, so that it is woken once; and the loop
// looks at the bits in the same step in which it sets `asleep`.
//
// Thread-safety: set() from any thread and any signal handler; everything else from the loop's.
class Attention {
 public:
  static constexpr std::uint32_t kStop = 2;
  static constexpr std::uint32_t kStopNow = 4;
  static constexpr std::uint32_t kStops = kStop | kStopNow;
  static constexpr std::uint32_t kSignalled = 16;

  // Functions of one priority, of those that are more urgent than one, and of any.
  static constexpr std::uint32_t posted(std::size_t level) noexcept { return 32U << level; }
  static constexpr std::uint32_t posted_above(std::size_t level) noexcept {
    return posted(level) - posted(0);
  }
  static constexpr std::uint32_t kPosted = 32 | 64 | 128;

  // Whatever asks for a poll, and with it for no wait.
  static constexpr std::uint32_t kWants = kStops | kPosted | kSignalled;

  static_assert(std::atomic<std::uint32_t>::is_always_lock_free, "signal handlers use it");

  // Returns true if the caller is to wake the loop.
  bool set(std::uint32_t bit) noexcept {
    std::uint32_t seen = bits_.load(std::memory_order_relaxed);
    while (!bits_.compare_exchange_weak(seen, (seen | bit) & ~kAsleep, std::memory_order_acq_rel,
                                        std::memory_order_relaxed)) {
    }
    return (seen & kAsleep) != 0;
  }

  bool test(std::uint32_t bits) const noexcept {
    return (bits_.load(std::memory_order_acquire) & bits) != 0;
  }

  // Answers what was asked; what is asked from now on is new.
  void clear(std::uint32_t bits) noexcept { bits_.fetch_and(~bits, std::memory_order_acq_rel); }

  // Returns false, and the loop must not sleep, if something was asked.
  bool fall_asleep() noexcept {
    std::uint32_t nothing = 0;
    return bits_.compare_exchange_strong(nothing, kAsleep, std::memory_order_acq_rel,
                                         std::memory_order_acquire);
  }

  void wake_up() noexcept { clear(kAsleep); }

  bool is_asleep() const noexcept { return test(kAsleep); }

 private:
  static constexpr std::uint32_t kAsleep = 1;

  std::atomic<std::uint32_t> bits_{0};
};

}  // namespace event_cpp::detail
