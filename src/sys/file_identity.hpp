// Tells whether a descriptor number still stands for the same file.
#pragma once

#include <sys/stat.h>

#include <cerrno>

namespace event_cpp::detail {

// Device and inode. Kernels that give several anonymous files one inode (Linux: eventfd, timerfd,
// signalfd, epoll) make those look alike; sockets and pipes are told apart, and so are files, until
// one is deleted and its inode used again. Nothing else stays the same for as long as a file is
// open: its times change when it is written, and on a union file system it is born anew then.
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

}  // namespace event_cpp::detail
