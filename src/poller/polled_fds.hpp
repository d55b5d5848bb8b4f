// The fds that poll(2) is called with, and which file each of them stood for.
#pragma once

#include <poll.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include "base/paged_array.hpp"
#include "sys/file_identity.hpp"
#include "sys/open_for_use.hpp"

namespace event_cpp::detail {

// What an fd stands for: poll(2) does not know whether it was closed and reused.
struct PolledFile {
  int fd = -1;
  std::uint32_t generation = 0;
  FileIdentity identity;

  // Returns 0, or EBADF for an fd that is not open, or only names a file.
  int identify() noexcept {
    const int error = FileIdentity::of(fd, identity);
    return error != 0 || is_open_for_use(fd) ? error : EBADF;
  }
  bool is_same_file() const noexcept { return identity.is_still(fd); }
};

// Without gaps, and found by fd.
class PolledFds {
 public:
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

  std::size_t size() const noexcept { return polled_.size(); }
  std::vector<pollfd>& polled() noexcept { return polled_; }
  const PolledFile& file(std::size_t index) const noexcept { return files_[index]; }

  std::size_t index_of(int fd) noexcept {
    const std::uint32_t* const index = indexes_.find(static_cast<std::size_t>(fd));
    return index != nullptr && *index != 0 ? *index - 1 : kNowhere;
  }

  // Makes an entry for an fd that has none. Returns its index, or kNowhere if there is no memory.
  std::size_t add(int fd) noexcept {
    try {
      indexes_.make(static_cast<std::size_t>(fd));
      files_.emplace_back();
      polled_.emplace_back();
    } catch (const std::bad_alloc&) {
      files_.resize(polled_.size());
      return kNowhere;
    }
    return polled_.size() - 1;
  }

  // poll(2) passes over an entry that is `silent`.
  void set(std::size_t index, const PolledFile& file, short bits, bool silent) noexcept {
    indexes_[static_cast<std::size_t>(file.fd)] = static_cast<std::uint32_t>(index + 1);
    files_[index] = file;
    polled_[index] = {silent ? -1 : file.fd, bits, 0};
  }

  // The last entry takes its place.
  void remove(std::size_t index) noexcept {
    const int fd = files_[index].fd;
    indexes_[static_cast<std::size_t>(files_.back().fd)] = static_cast<std::uint32_t>(index + 1);
    indexes_[static_cast<std::size_t>(fd)] = 0;
    files_[index] = files_.back();
    polled_[index] = polled_.back();
    files_.pop_back();
    polled_.pop_back();
  }

  // Errors: throws std::bad_alloc.
  void reserve(std::size_t count) {
    polled_.reserve(count);
    files_.reserve(count);
    indexes_.reserve(count + PagedArray<std::uint32_t>::kPageSize);
  }

 private:
  std::vector<pollfd> polled_;
  std::vector<PolledFile> files_;      // beside it
  PagedArray<std::uint32_t> indexes_;  // by fd: its index there and 1, or 0
};

}  // namespace event_cpp::detail
