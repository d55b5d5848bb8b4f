// StopOnSignal: Ctrl-C and kill end a loop cleanly.
#pragma once

#include <atomic>
#include <csignal>
#include <event/event.hpp>

namespace support {

// While it lives, SIGINT and SIGTERM stop the base: its dispatch() returns, and the program ends
// the way it likes. A second one ends the program at once, should it be stuck. One at a time.
class StopOnSignal {
 public:
  explicit StopOnSignal(event::Base& base) noexcept {
    base_.store(&base);
    struct sigaction action {};
    action.sa_handler = [](int) { base_.load()->stop(); };  // safe in a handler, by its contract
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
    ::sigemptyset(&action.sa_mask);
    (void)::sigaction(SIGINT, &action, &old_interrupt_);  // cannot fail for these two
    (void)::sigaction(SIGTERM, &action, &old_terminate_);
  }
  ~StopOnSignal() {
    (void)::sigaction(SIGINT, &old_interrupt_, nullptr);
    (void)::sigaction(SIGTERM, &old_terminate_, nullptr);
  }
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

 private:
  // Lock-free, so a handler may read it.
  static inline std::atomic<event::Base*> base_ = nullptr;
  static_assert(std::atomic<event::Base*>::is_always_lock_free);

  struct sigaction old_interrupt_ {};
  struct sigaction old_terminate_ {};
};

}  // namespace support
