#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sys/fork_count.hpp"
#include "sys/wakeup.hpp"

namespace event_cpp::detail {
namespace {

// pipe2() would do this in one step, but not every system has it.
bool set_flags(int fd) noexcept {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) >= 0 &&
         ::fcntl(fd, F_SETFD, FD_CLOEXEC) >= 0;
}

}  // namespace

int Wakeup::reopen() noexcept {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) < 0) return errno;
  UniqueFd reader = own_internal(ends[0]);
  const int error = errno;
  UniqueFd writer = own_internal(ends[1]);
  if (!reader) return error;
  if (!writer) return errno;
  if (!set_flags(reader.get()) || !set_flags(writer.get())) return errno;
  release_lost();
  reader_ = std::move(reader);
  writer_ = std::move(writer);
  forks_ = fork_count();
  return 0;
}

void Wakeup::wake() const noexcept {
  const char byte = 0;
  write(writer_, &byte, 1);
}

void Wakeup::drain() const noexcept {
  const NoCancellation now;
  std::array<char, 512> bytes;
  for (;;) {
    const ssize_t n = ::read(reader_.get(), bytes.data(), bytes.size());
    if (n < static_cast<ssize_t>(bytes.size()) && !(n < 0 && errno == EINTR)) break;
  }
}

}  // namespace event_cpp::detail
