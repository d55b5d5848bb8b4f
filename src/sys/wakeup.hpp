// Wakes a loop that sleeps in the kernel: a descriptor that becomes readable.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/unique_fd.hpp"

namespace event_cpp::detail {

// An eventfd, or a pipe where there is none: one file each, chosen by the build. Backends do not
// know of it; to them it is a descriptor like any other.
class Wakeup {
 public:
  // Errors: throws std::system_error with the system's own code.
  Wakeup();
  ~Wakeup();

  // In the child of a fork: a descriptor of its own. Returns 0 or an errno, and then changes
  // nothing.
  int reopen() noexcept;

  int fd() const noexcept { return reader_.get(); }

  // Makes fd() readable, also if it already is: a watch for edges sees each one. Does nothing in
  // the child of a fork that has not called reopen(). Thread-safety: any thread, and any signal
  // handler; keeps errno.
  void wake() const noexcept;

  // Makes fd() not readable any more.
  void drain() const noexcept;

  // The descriptor was closed behind the library's back: the number may be another file's. wake()
  // does nothing from now on, and the destructor leaves it open, until reopen().
  void give_up() noexcept { lost_.store(true, std::memory_order_relaxed); }

 private:
  // Not closed if they are not ours any more.
  void release_lost() noexcept {
    if (!lost_.exchange(false, std::memory_order_relaxed)) return;
    static_cast<void>(reader_.release());
    static_cast<void>(writer_.release());
  }

  UniqueFd reader_;
  UniqueFd writer_;      // a pipe's other end
  std::uint32_t forks_;  // when they were opened
  std::atomic<bool> lost_{false};
};

}  // namespace event_cpp::detail
