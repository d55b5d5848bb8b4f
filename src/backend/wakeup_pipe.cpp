#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "backend/wakeup.hpp"

namespace event::detail {
namespace {

void set_flags(int fd) {
  // pipe2() would do this in one step, but not every system has it.
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
      ::fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
    throw std::system_error(errno, std::system_category(), "fcntl");
  }
}

}  // namespace

Wakeup::Wakeup() {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) < 0) throw std::system_error(errno, std::system_category(), "pipe");
  reader_ = UniqueFd(ends[0]);
  writer_ = UniqueFd(ends[1]);
  set_flags(reader_.get());
  set_flags(writer_.get());
}

void Wakeup::wake() const noexcept {
  const int saved = errno;
  const char byte = 0;
  for (;;) {
    if (::write(writer_.get(), &byte, 1) >= 0) break;
    if (errno == EAGAIN) {
      drain();  // full: make room, so that a watch for edges sees this wake-up too
    } else if (errno != EINTR) {
      break;
    }
  }
  errno = saved;
}

void Wakeup::drain() const noexcept {
  std::array<char, 512> bytes;
  for (;;) {
    const ssize_t n = ::read(reader_.get(), bytes.data(), bytes.size());
    if (n < static_cast<ssize_t>(bytes.size()) && !(n < 0 && errno == EINTR)) break;
  }
}

}  // namespace event::detail
