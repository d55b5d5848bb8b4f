// A descriptor that closes itself.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/no_cancellation.hpp"

namespace event_cpp::detail {

class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd() {
    if (fd_ < 0) return;
    const NoCancellation now;
    // The descriptor is gone whatever close() says; there is nothing to do about an error.
    ::close(fd_);
  }

  int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// What a system call has just opened for the library itself, or -1 and errno: close-on-exec, and
// never a number that programs take for their standard streams. A program may be started with these
// closed, and daemon(3) opens them anew over whatever has the numbers.
inline UniqueFd own_internal(int opened) noexcept {
  constexpr int kFirstOfNoStream = 3;
  UniqueFd fd(opened);
  if (!fd) return fd;
  if (fd.get() < kFirstOfNoStream) {
    UniqueFd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kFirstOfNoStream));
    const int error = errno;
    fd = UniqueFd();  // the old one is closed
    errno = error;
    return moved;
  }
  return fd;
}

}  // namespace event_cpp::detail
