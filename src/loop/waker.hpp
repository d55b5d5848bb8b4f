// Wakes a loop that sleeps in the kernel.
#pragma once

#include <cerrno>
#include <optional>
#include <system_error>

#include "poller/poller.hpp"
#include "sys/wakeup.hpp"

namespace event_cpp::detail {

// The backend does it itself, or has a descriptor to watch for it.
class Waker {
 public:
  // Errors: throws std::system_error with the system's own code.
  explicit Waker(Poller& backend) : poller_(backend) {
    const int error = poller_.watch(Source::wakeup, 0);
    if (error == ENOTSUP) {
      descriptor_.emplace();
    } else if (error != 0) {
      throw std::system_error(error, std::system_category(), "wake-up");
    }
  }

  // In the child of a fork, once the backend has restarted. Returns 0 or an errno.
  int reopen() noexcept {
    return descriptor_ ? descriptor_->reopen() : poller_.watch(Source::wakeup, 0);
  }

  // To be watched; -1: the backend watches for wake-ups itself.
  int fd() const noexcept { return descriptor_ ? descriptor_->fd() : -1; }

  // Ends the wait that is under way, or the next one. Thread-safety: any thread, and any signal
  // handler; keeps errno.
  void wake() const noexcept {
    if (descriptor_) {
      descriptor_->wake();
    } else {
      poller_.wake();
    }
  }

  // What fd() was is not this waker's any more: nothing is written to it from now on.
  void give_up() noexcept {
    if (descriptor_) descriptor_->give_up();
  }

  // Requires: fd() is not -1. Makes it not readable any more.
  void drain() const noexcept { descriptor_->drain(); }

 private:
  Poller& poller_;
  std::optional<Wakeup> descriptor_;
};

}  // namespace event_cpp::detail
