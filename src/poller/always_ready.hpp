// Files of a kind that cannot be waited for: poll(2) calls them always ready, and so do we.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "poller/poller.hpp"
#include "sys/file_identity.hpp"

namespace event_cpp::detail {

// Kept beside a kernel that refuses such files, as it would keep them. They are few, so they are
// searched.
class AlwaysReady {
 public:
  // Whether epoll(7) refuses to wait for a file of this type, as stat(2) has it; it refuses some
  // devices as well.
  static bool is_such(mode_t mode) noexcept {
    return S_ISREG(mode) || S_ISDIR(mode) || S_ISBLK(mode);
  }

  bool empty() const noexcept { return files_.empty(); }
  void clear() noexcept { files_.clear(); }

  // Poller::update(), after the kernel was told. `error` is what it said: EPERM, if the file
  // under this number now is of that kind.
  int update(int error, Change change, int fd, std::uint32_t generation, Events wanted) noexcept;

  // Whether a wait would find one ready.
  bool is_any_ready() const noexcept;

  // Calls f(descriptor, generation, wanted) for each.
  template <class F>
  void for_each(F&& f) const {
    for (const File& file : files_) f(file.fd, file.generation, file.wanted);
  }

  // Reports as many as there is room for. Begins where the last call ended, so that all get a turn.
  void report(ReadyBatch& batch) noexcept;

 private:
  struct File {
    int fd;
    std::uint32_t generation;
    Events wanted;
    FileIdentity identity;
  };

  int add(int fd, std::uint32_t generation, Events wanted) noexcept;
  std::vector<File>::iterator find(int fd) noexcept;

  std::vector<File> files_;
  std::size_t next_ = 0;
};

}  // namespace event_cpp::detail
