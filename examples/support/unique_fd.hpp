// UniqueFd: a descriptor that closes itself.
#pragma once

#include <unistd.h>

#include <utility>

// Owns one descriptor, or none (-1). Moves like a unique_ptr.
class UniqueFd {
 public:
  UniqueFd() noexcept = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;

  // What close() says is dropped: the descriptor is gone whatever it says, and there is nobody to
  // tell.
  ~UniqueFd() {
    if (fd_ >= 0) (void)::close(fd_);
  }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

 private:
  int fd_ = -1;
};
