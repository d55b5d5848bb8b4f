// Signals by their numbers, and blocked ones that are let through for a moment.
#pragma once

#include <pthread.h>

#include <csignal>

namespace event_cpp::detail {

inline constexpr int kMostSignals = 128;  // more than any system has; numbers begin with 1

// If the signal is pending, and blocked in this thread, it is handled or does what it does by
// default before this returns. Safe in signal handlers.
inline void let_through(int signo) noexcept {
  sigset_t one;
  sigset_t before;
  ::sigemptyset(&one);
  ::sigaddset(&one, signo);
  ::pthread_sigmask(SIG_UNBLOCK, &one, &before);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace event_cpp::detail
