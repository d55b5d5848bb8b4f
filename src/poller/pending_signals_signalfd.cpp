#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

#include "poller/pending_signals.hpp"

namespace event_cpp::detail {

int PendingSignals::open() noexcept {
  UniqueFd fd = own_internal(::signalfd(-1, &watched_, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd) return errno;
  fd_ = std::move(fd);
  is_open_ = true;
  return 0;
}

void PendingSignals::close() noexcept {
  fd_ = UniqueFd();
  is_open_ = false;
}

void PendingSignals::changed(int) noexcept {
  static_cast<void>(::signalfd(fd_.get(), &watched_, 0));
}

int PendingSignals::take() const noexcept {
  const NoCancellation now;
  signalfd_siginfo info{};
  for (;;) {
    const ssize_t n = ::read(fd_.get(), &info, sizeof info);
    if (n == sizeof info) return static_cast<int>(info.ssi_signo);
    if (n >= 0 || errno != EINTR) return 0;
  }
}

}  // namespace event_cpp::detail
