// By the backend itself, where it is kqueue(2).
#include <cerrno>
#include <csignal>

#include "base/no_cancellation.hpp"
#include "poller/pending_signals.hpp"
#include "sys/let_through.hpp"

namespace event_cpp::detail {
namespace {

// Takes one, if it is still there: what is pending may be on its way to another thread, so that
// sigwait() could wait for ever.
#if EVENT_HAVE_SIGTIMEDWAIT
int take_pending(const sigset_t& watched) noexcept {
  const NoCancellation whole;
  const timespec now{};
  int signo = 0;
  do {
    signo = ::sigtimedwait(&watched, nullptr, &now);
  } while (signo < 0 && errno == EINTR);
  return signo > 0 ? signo : 0;
}
#else
bool is_pending(int signo) noexcept {
  sigset_t pending;
  return ::sigpending(&pending) == 0 && ::sigismember(&pending, signo) == 1;
}

// The handler takes it, in this thread: it is let through for a moment.
int take_pending(const sigset_t& watched) noexcept {
  for (int signo = 1; signo <= kMostSignals; ++signo) {
    if (::sigismember(&watched, signo) != 1 || !is_pending(signo)) continue;
    struct sigaction action {};
    const bool known = ::sigaction(signo, nullptr, &action) == 0;
    if (known && action.sa_handler != SIG_DFL) let_through(signo);
  }
  return 0;
}
#endif

}  // namespace

int PendingSignals::open() noexcept {
  is_open_ = true;
  int error = 0;
  for (int signo = 1; signo <= kMostSignals && error == 0; ++signo) {
    if (is_watched(signo)) error = poller_.watch(Source::signal, signo);
  }
  if (error != 0) close();
  return error;
}

void PendingSignals::close() noexcept {
  if (!is_open_) return;
  is_open_ = false;
  for (int signo = 1; signo <= kMostSignals; ++signo) {
    if (is_watched(signo)) poller_.unwatch(Source::signal, signo);
  }
}

void PendingSignals::changed(int signo) noexcept {
  if (is_watched(signo)) {
    static_cast<void>(poller_.watch(Source::signal, signo));
  } else {
    poller_.unwatch(Source::signal, signo);
  }
}

int PendingSignals::take() const noexcept { return take_pending(watched_); }

}  // namespace event_cpp::detail
