// Wakes a loop that sleeps in the kernel: a descriptor that becomes readable.
#pragma once

#include <cstdint>

#include "backend/unique_fd.hpp"

namespace event_cpp::detail {

// An eventfd, a kqueue, or a pipe where there is neither: one file each, chosen by the build.
// Backends do not know of it; to them it is a descriptor like any other.
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

 private:
  UniqueFd reader_;
  UniqueFd writer_;      // a pipe's other end
  std::uint32_t forks_;  // when they were opened
};

}  // namespace event_cpp::detail
