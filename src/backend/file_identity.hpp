// Tells whether a descriptor number still stands for the same file.
#pragma once

#include <sys/stat.h>

#include <cerrno>

namespace event::detail {

// Device and inode. Kernels that give several anonymous files one inode (Linux: eventfd, timerfd,
// signalfd, epoll) make those look alike; sockets, pipes and files are told apart.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;

  bool operator==(const FileIdentity&) const = default;

  // Returns 0, or the errno of fstat(2): EBADF for a descriptor that is not open.
  static int of(int fd, FileIdentity& identity) noexcept {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return errno;
    identity = of(status);
    return 0;
  }
  static FileIdentity of(const struct stat& status) noexcept {
    return {status.st_dev, status.st_ino};
  }

  // False if `fd` is closed or stands for another file; an error that says neither is no proof.
  bool is_still(int fd) const noexcept {
    FileIdentity current;
    const int error = of(fd, current);
    return error == 0 ? current == *this : error != EBADF;
  }
};

}  // namespace event::detail
