// The poller, and beside it the files that no kernel waits for: poll(2) calls them always ready.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "poller/poller.hpp"
#include "sys/file_identity.hpp"

namespace event_cpp::detail {

// Regular files, directories and some devices: a poller that cannot wait for one says EPERM. They
// are kept here as a kernel keeps a registration, and reported after what the poller reports. They
// are few, so they are found by a linear search.
class PollerAndFiles {
 public:
  explicit PollerAndFiles(Poller& poller) noexcept : poller_(poller) {}

  Poller& poller() const noexcept { return poller_; }

  // As in Poller, but never EPERM.
  int add(int fd, std::uint32_t generation, Events interest) noexcept {
    ++calls_;
    const int error = poller_.add(fd, generation, interest);
    return error != EPERM && files_.empty() ? error : add_file(error, fd, generation, interest);
  }
  int modify(int fd, std::uint32_t generation, Events interest, bool may_defer) noexcept {
    ++calls_;
    if (!files_.empty() && is_file(fd)) return modify_file(fd, generation, interest);
    const int error = poller_.modify(fd, generation, interest, may_defer);
    return error == EPERM ? ENOENT : error;  // the registered file was another one
  }
  // modify() to what is registered: says whether the fd is still the file that it was. Not counted.
  int verify(int fd, std::uint32_t generation, Events registered) noexcept {
    const int error = modify(fd, generation, registered, false);
    --calls_;
    return error;
  }
  int remove(int fd) noexcept {
    ++calls_;
    if (!files_.empty() && is_file(fd)) return remove_file(fd);
    const int error = poller_.remove(fd);
    return error == EPERM ? ENOENT : error;
  }
  int wait(TimePoint deadline, bool block, ReadyBatch& batch) {
    if (!files_.empty()) [[unlikely]]
      return wait_with_files(deadline, block, batch);
    return poller_.wait(deadline, block, batch);
  }

  bool has_files() const noexcept { return !files_.empty(); }

  // Whether a wait would report one of the files.
  bool is_any_ready() const noexcept;

  // After a fork, before everything is added anew.
  void forget_files() noexcept { files_.clear(); }

  // How many changes of registrations were asked for; each is a system call, or would be one.
  std::uint64_t calls() const noexcept { return calls_; }

 private:
  struct File {
    int fd;
    std::uint32_t generation;
    Events interest;
    FileIdentity identity;
  };

  std::vector<File>::iterator find(int fd) noexcept;
  bool is_file(int fd) noexcept { return find(fd) != files_.end(); }
  int add_file(int error, int fd, std::uint32_t generation, Events interest) noexcept;
  int modify_file(int fd, std::uint32_t generation, Events interest) noexcept;
  int remove_file(int fd) noexcept;
  int wait_with_files(TimePoint deadline, bool block, ReadyBatch& batch);
  void report_files(ReadyBatch& batch) noexcept;

  Poller& poller_;
  std::vector<File> files_;
  std::size_t next_ = 0;  // index of the file that is reported first
  std::uint64_t calls_ = 0;
};

}  // namespace event_cpp::detail
