// A lock that is held for a few instructions only.
#pragma once

#include <mutex>

namespace event_cpp::detail {

// Tells the processor that this thread waits for another one.
inline void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// As std::lock_guard, but tries a while before it waits in the kernel: that takes a hundred times
// as long as whoever has the lock, and then needs to be woken.
class SpinThenLock {
 public:
  explicit SpinThenLock(std::mutex& mutex) : mutex_(mutex) {
    for (int i = 0; i < kTries; ++i) {
      if (mutex_.try_lock()) return;
      relax();
    }
    mutex_.lock();
  }
  ~SpinThenLock() { mutex_.unlock(); }
  SpinThenLock(const SpinThenLock&) = delete;
  SpinThenLock& operator=(const SpinThenLock&) = delete;

 private:
  static constexpr int kTries = 50;

  std::mutex& mutex_;
};

}  // namespace event_cpp::detail
