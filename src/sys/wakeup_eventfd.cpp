#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

#include "sys/fork_count.hpp"
#include "sys/wakeup.hpp"

namespace event_cpp::detail {

Wakeup::Wakeup() {
  if (const int error = reopen(); error != 0) {
    throw std::system_error(error, std::system_category(), "eventfd");
  }
}

Wakeup::~Wakeup() { release_lost(); }

int Wakeup::reopen() noexcept {
  UniqueFd fresh = own_internal(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fresh) return errno;
  release_lost();
  reader_ = std::move(fresh);
  forks_ = fork_count();
  return 0;
}

void Wakeup::wake() const noexcept {
  if (forked_since(forks_) || lost_.load(std::memory_order_relaxed)) return;
  const NoCancellation now;
  const int saved = errno;
  const std::uint64_t one = 1;
  // EAGAIN means that the counter is full: then it is readable, and stays so until it is drained.
  for (;;) {
    if (::write(reader_.get(), &one, sizeof one) >= 0) break;
    if (errno == EAGAIN) {
      drain();
    } else if (errno != EINTR) {
      break;
    }
  }
  errno = saved;
}

void Wakeup::drain() const noexcept {
  const NoCancellation now;
  std::uint64_t count = 0;
  while (::read(reader_.get(), &count, sizeof count) < 0 && errno == EINTR) {
  }
}

}  // namespace event_cpp::detail
