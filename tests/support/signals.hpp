// What tests of signals share: handlers, masks, and signals that end nothing.
#pragma once

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include "support/every_backend.hpp"

namespace event_cpp::test {

// The ends of the numbers for programs; where there are none, two that are ignored by default.
#if defined(SIGRTMIN)
inline int lowest_own_signal() { return SIGRTMIN; }
inline int highest_own_signal() { return SIGRTMAX; }
#else
inline int lowest_own_signal() { return SIGURG; }
inline int highest_own_signal() { return SIGWINCH; }
#endif

// What the process does on a signal, such that it can be compared.
struct Action {
  std::uintptr_t handler;
  int flags;
  std::vector<int> mask;

  bool operator==(const Action&) const = default;
};

inline Action action_of(int signo) {
  constexpr int kRestorer = 0x04000000;  // the C library's own: it comes with the first handler
  struct sigaction action {};
  ::sigaction(signo, nullptr, &action);
  Action result{
      reinterpret_cast<std::uintptr_t>(action.sa_handler), action.sa_flags & ~kRestorer, {}};
  // Where nothing is called the mask means nothing, and the thread sanitizer fills it.
  const bool calls = action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
  for (int number = 1; calls && number < 65; ++number) {
    if (sigismember(&action.sa_mask, number) == 1) result.mask.push_back(number);
  }
  return result;
}

// What the process does on a signal, while this lives.
class Disposition {
 public:
  Disposition(int signo, void (*handler)(int)) : signo_(signo) {
    struct sigaction action {};
    action.sa_handler = handler;
    ::sigaction(signo_, &action, &before_);
  }
  Disposition(int signo, const struct sigaction& action) : signo_(signo) {
    ::sigaction(signo_, &action, &before_);
  }
  ~Disposition() { ::sigaction(signo_, &before_, nullptr); }
  Disposition(const Disposition&) = delete;
  Disposition& operator=(const Disposition&) = delete;

 private:
  int signo_;
  struct sigaction before_ {};
};

// This thread has signals blocked while this lives, and so have the threads that it makes: all of
// them, or one.
class Blocked {
 public:
  Blocked() {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  explicit Blocked(int signo) {
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, signo);
    ::pthread_sigmask(SIG_BLOCK, &one, &before_);
  }
  ~Blocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  Blocked(const Blocked&) = delete;
  Blocked& operator=(const Blocked&) = delete;

 private:
  sigset_t before_;
};

// A thread that gets no signal.
template <class F>
std::thread thread_without_signals(F&& run) {
  const Blocked blocked;
  return std::thread(std::forward<F>(run));
}

inline void raise_for_process(int signo) { ::kill(::getpid(), signo); }

// For this thread, which lets it through from now on.
inline void unblock(int signo) {
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, signo);
  ::pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
}

inline void raise_unblocked(int signo) {
  unblock(signo);
  ::raise(signo);
}

inline std::atomic<int> strays = 0;  // signals that came when no event was there to have them
inline void count_stray(int) { ++strays; }
inline void count_stray_with_info(int, siginfo_t*, void*) { ++strays; }

// Signals that no event takes are counted, and do not end the process.
class Signals : public EveryBackend {
 protected:
  Signals() { strays = 0; }

 private:
  const Disposition first_{SIGUSR1, &count_stray};
  const Disposition second_{SIGUSR2, &count_stray};
  const Disposition lowest_{lowest_own_signal(), &count_stray};
  const Disposition highest_{highest_own_signal(), &count_stray};
};

// Whether a base on this backend is told of signals that every thread has blocked.
constexpr bool sees_blocked(Backend backend) {
  return EVENT_HAVE_EPOLL || backend == Backend::kqueue;
}

class BlockedSignals : public Signals {
 protected:
  void SetUp() override {
    if (!sees_blocked(GetParam())) GTEST_SKIP() << "this backend cannot tell of blocked signals";
  }
};

}  // namespace event_cpp::test
