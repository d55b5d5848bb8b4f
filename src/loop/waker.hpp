// What other threads and signal handlers want of a loop, and the wake-up of one that sleeps.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <system_error>
#include <thread>

#include "loop/attention.hpp"
#include "poller/poller.hpp"
#include "sys/wakeup.hpp"

namespace event_cpp::detail {

// The poller wakes itself, or watches a descriptor for it.
//
// Thread-safety: request() and stop() from any thread and any signal handler; everything else from
// the loop's thread.
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

  // A stop() that ended the last run may still be on its way out in another thread.
  ~Waker() {
    while (stopping_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
  }
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  // Sets bits of attention(), and wakes the loop if it sleeps. Keeps errno.
  void request(std::uint32_t bits) noexcept {
    if (attention_.set(bits)) wake();
  }

  // The same for a bit that may end the loop, and with it this: the destructor waits for the end of
  // the call.
  void stop(std::uint32_t how) noexcept {
    stopping_.fetch_add(1, std::memory_order_relaxed);
    request(how);
    stopping_.fetch_sub(1, std::memory_order_release);
  }

  Attention& attention() noexcept { return attention_; }
  const Attention& attention() const noexcept { return attention_; }

  // In the child of a fork: whoever was in stop() in the parent does not exist here.
  void forget_other_threads() noexcept {
    stopping_.store(0, std::memory_order_relaxed);
    attention_.wake_up();
  }

  // In the child of a fork, once the poller has been made anew. Returns 0 or an errno.
  int reopen() noexcept {
    return descriptor_ ? descriptor_->reopen() : poller_.watch(Source::wakeup, 0);
  }

  // To be watched; -1: the backend watches for wake-ups itself.
  int fd() const noexcept { return descriptor_ ? descriptor_->fd() : -1; }

  // Ends the wait that is under way, or the next one. Keeps errno.
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
  Attention attention_;
  std::atomic<std::uint32_t> stopping_{0};  // stop() calls that are under way
};

}  // namespace event_cpp::detail
