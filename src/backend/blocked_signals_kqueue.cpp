#include <sys/event.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "backend/blocked_signals.hpp"
#include "backend/kernel_queue.hpp"

namespace event_cpp::detail {
namespace {

constexpr int kMostSignals = 128;  // more than any system has

bool is_pending(int signo) noexcept {
  sigset_t pending;
  return ::sigpending(&pending) == 0 && ::sigismember(&pending, signo) == 1;
}

int tell(int queue, const struct kevent& change) noexcept {
  return tell_kqueue(queue, &change, 1, nullptr, 0) < 0 ? errno : 0;
}

// The kernel tells of a signal when it is sent. What was sent before that could be seen is told by
// hand.
int watch_in(int queue, int signo) noexcept {
  if (const int error = tell(queue, make_change(signo, EVFILT_SIGNAL, EV_ADD)); error != 0) {
    return error;
  }
  if (!is_pending(signo)) return 0;
  return tell(queue, make_change(0, EVFILT_USER, 0, NOTE_TRIGGER));
}

// Takes one, if it is still there: what is pending may be on its way to another thread, so that
// sigwait() could wait for ever.
#if EVENT_HAVE_SIGTIMEDWAIT
int take_pending(const sigset_t& watched) noexcept {
  const timespec now{};
  int signo = 0;
  do {
    signo = ::sigtimedwait(&watched, nullptr, &now);
  } while (signo < 0 && errno == EINTR);
  return signo > 0 ? signo : 0;
}
#else
// The handler takes it, in this thread: it is let through for a moment.
int take_pending(const sigset_t& watched) noexcept {
  for (int signo = 1; signo <= kMostSignals; ++signo) {
    if (::sigismember(&watched, signo) != 1 || !is_pending(signo)) continue;
    struct sigaction action {};
    const bool is_handled =
        ::sigaction(signo, nullptr, &action) == 0 && action.sa_handler != SIG_DFL;
    if (!is_handled) continue;
    sigset_t one;
    sigset_t before;
    ::sigemptyset(&one);
    ::sigaddset(&one, signo);
    ::pthread_sigmask(SIG_UNBLOCK, &one, &before);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  return 0;
}
#endif

}  // namespace

// EVFILT_SIGNAL tells of each signal that is sent, also if a handler takes it: whether it is
// pending is looked up then.
int BlockedSignals::open() noexcept {
  if (const int error = reopen_kqueue(fd_, forks_); error != 0) return error;
  int error = tell(fd_.get(), make_change(0, EVFILT_USER, EV_ADD | EV_CLEAR));
  for (int signo = 1; signo <= kMostSignals && error == 0; ++signo) {
    if (is_watched(signo)) error = watch_in(fd_.get(), signo);
  }
  if (error != 0) close();
  return error;
}

void BlockedSignals::close() noexcept { close_kqueue(fd_, forks_); }

void BlockedSignals::changed(int signo) noexcept {
  const bool is_new = is_watched(signo);
  static_cast<void>(is_new ? watch_in(fd_.get(), signo)
                           : tell(fd_.get(), make_change(signo, EVFILT_SIGNAL, EV_DELETE)));
}

int BlockedSignals::take() const noexcept {
  std::array<struct kevent, 16> told;
  while (tell_kqueue(fd_.get(), nullptr, 0, told.data(), told.size()) > 0) {
  }
  return take_pending(watched_);
}

}  // namespace event_cpp::detail
