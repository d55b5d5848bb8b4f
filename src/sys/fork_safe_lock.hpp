// A lock that the child of a fork can take, whoever held it in the parent.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

#include "sys/fork_count.hpp"

namespace event_cpp::detail {

// For short critical sections that are entered rarely. In the child of a fork it is free, although
// a thread that the child does not have may have held it: what it guards must then be reset.
// Meets BasicLockable, for std::lock_guard.
class ForkSafeLock {
 public:
  void lock() noexcept {
    const std::uint32_t own = fork_count();
    std::uint32_t seen = 0;
    while (!holder_.compare_exchange_weak(seen, own, std::memory_order_acquire)) {
      if (seen == own) {  // held in this process
        std::this_thread::yield();
        seen = 0;
      }
    }
  }
  void unlock() noexcept { holder_.store(0, std::memory_order_release); }

 private:
  std::atomic<std::uint32_t> holder_{0};  // fork_count() of the process that holds it; 0: nobody
};

}  // namespace event_cpp::detail
