// Wakes a loop that sleeps in the kernel: a descriptor that becomes readable.
#pragma once

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include "base/unique_fd.hpp"
#include "sys/fork_count.hpp"

namespace event_cpp::detail {

// An eventfd, or a pipe where there is none: one file each, chosen by the build. Backends do not
// know of it; to them it is a descriptor like any other.
class Wakeup {
 public:
  // Errors: throws std::system_error with the system's own code.
  Wakeup() {
    if (const int error = reopen(); error != 0) {
      throw std::system_error(error, std::system_category(), "wake-up");
    }
  }
  ~Wakeup() { release_lost(); }

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
  void write(const UniqueFd& to, const void* bytes, std::size_t size) const noexcept {
    if (forked_since(forks_) || lost_.load(std::memory_order_relaxed)) return;
    const NoCancellation now;
    const int saved = errno;
    while (::write(to.get(), bytes, size) < 0) {
      if (errno == EAGAIN) {
        drain();  // full: with room, a watch for edges sees this wake-up too
      } else if (errno != EINTR) {
        break;
      }
    }
    errno = saved;
  }

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
