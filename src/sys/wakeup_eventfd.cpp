#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "sys/fork_count.hpp"
#include "sys/wakeup.hpp"

namespace event_cpp::detail {

int Wakeup::reopen() noexcept {
  UniqueFd fresh = own_internal(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!fresh) return errno;
  release_lost();
  reader_ = std::move(fresh);
  forks_ = fork_count();
  return 0;
}

void Wakeup::wake() const noexcept {
  const std::uint64_t one = 1;
  write(reader_, &one, sizeof one);
}

void Wakeup::drain() const noexcept {
  const NoCancellation now;
  std::uint64_t count = 0;
  while (::read(reader_.get(), &count, sizeof count) < 0 && errno == EINTR) {
  }
}

}  // namespace event_cpp::detail
