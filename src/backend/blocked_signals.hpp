// Signals that no handler can run for, as every thread has them blocked.
#pragma once

#include <csignal>
#include <cstdint>

#include "backend/unique_fd.hpp"

namespace event_cpp::detail {

// A descriptor that is readable while one of a set of signals is pending for the process: a
// signalfd, or a kqueue, where there is one. To backends it is a descriptor like any other. While
// it is watched the kernel wakes it up for every signal that the process gets, blocked or not.
class BlockedSignals {
 public:
  BlockedSignals() noexcept { ::sigemptyset(&watched_); }
  ~BlockedSignals() { close(); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

  // Opens it, anew if it is open, for the same signals. Returns 0 or an errno; ENOTSUP where the
  // system has no such thing.
  int open() noexcept;
  void close() noexcept;

  int fd() const noexcept { return fd_.get(); }

  // Either may be said again.
  void watch(int signo) noexcept {
    if (is_watched(signo)) return;
    ::sigaddset(&watched_, signo);
    ++count_;
    if (fd_) changed(signo);
  }
  void unwatch(int signo) noexcept {
    if (!is_watched(signo)) return;
    ::sigdelset(&watched_, signo);
    --count_;
    if (fd_) changed(signo);
  }

  // True if no signal is watched.
  bool empty() const noexcept { return count_ == 0; }

  // Takes one signal that is pending, so that no thread gets it any more; 0 if there is none.
  int take() const noexcept;

 private:
  bool is_watched(int signo) const noexcept { return ::sigismember(&watched_, signo) == 1; }

  // Tells the kernel, which has heard of the others. It does not fail.
  void changed(int signo) noexcept;

  UniqueFd fd_;
  [[maybe_unused]] std::uint32_t forks_ = 0;  // when it was opened
  sigset_t watched_;
  int count_ = 0;  // of those in it
};

}  // namespace event_cpp::detail
