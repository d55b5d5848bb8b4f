// For system calls that raise SIGPIPE and have no flag against it.
#pragma once

#include <csignal>

namespace event_cpp::net::detail {

// Calls f(), which may raise the signal, also if it returns how much was sent before: sendfile(2),
// splice(2), and write(2) to a pipe. The signal is blocked in this thread meanwhile, and taken if
// it came; one that was pending before stays. Cost: four system calls.
template <class F>
auto without_sigpipe(F f) noexcept {
  sigset_t pipe;
  ::sigemptyset(&pipe);
  ::sigaddset(&pipe, SIGPIPE);
  sigset_t pending;
  ::sigpending(&pending);
  const bool was_pending = ::sigismember(&pending, SIGPIPE) == 1;
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &pipe, &before);
  const auto result = f();
  if (!was_pending) {
    int signo = 0;
    ::sigpending(&pending);
    if (::sigismember(&pending, SIGPIPE) == 1) ::sigwait(&pipe, &signo);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return result;
}

}  // namespace event_cpp::net::detail
