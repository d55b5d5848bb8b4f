// Signals that no handler can run for, as every thread has them blocked.
#pragma once

#include <csignal>

#include "base/unique_fd.hpp"
#include "poller/poller.hpp"

namespace event_cpp::detail {

// Has the kernel report that one of a set of signals is pending for the process: by a signalfd,
// which to backends is a descriptor like any other, or by the backend itself, as Source::signal.
// While they are watched the kernel reports every such signal that the process gets, blocked or
// not. One file for each way, chosen by the build.
class PendingSignals {
 public:
  explicit PendingSignals(Poller& backend) noexcept : poller_(backend) { ::sigemptyset(&watched_); }
  ~PendingSignals() { close(); }
  PendingSignals(const PendingSignals&) = delete;
  PendingSignals& operator=(const PendingSignals&) = delete;

  // Begins to report them. Returns 0 or an errno; ENOTSUP where nothing can. Requires: !is_open().
  int open() noexcept;
  void close() noexcept;

  bool is_open() const noexcept { return is_open_; }

  // Readable while one is pending; -1: the backend reports them itself, once when each is sent, so
  // that what was pending before must be taken by hand.
  int fd() const noexcept { return fd_.get(); }

  // Either may be said again.
  void watch(int signo) noexcept {
    if (is_watched(signo)) return;
    ::sigaddset(&watched_, signo);
    ++count_;
    if (is_open_) changed(signo);
  }
  void unwatch(int signo) noexcept {
    if (!is_watched(signo)) return;
    ::sigdelset(&watched_, signo);
    --count_;
    if (is_open_) changed(signo);
  }

  // True if no signal is watched.
  bool empty() const noexcept { return count_ == 0; }

  // Takes one signal that is pending, so that no thread gets it any more; 0 if there is none.
  int take() const noexcept;

 private:
  bool is_watched(int signo) const noexcept { return ::sigismember(&watched_, signo) == 1; }

  // Tells the kernel, which has been told of the others. It does not fail.
  void changed(int signo) noexcept;

  [[maybe_unused]] Poller& poller_;
  UniqueFd fd_;
  sigset_t watched_;
  int count_ = 0;  // of those in it
  bool is_open_ = false;
};

}  // namespace event_cpp::detail
