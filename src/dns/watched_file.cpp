#include "dns/watched_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>

namespace event_cpp::dns::detail {
namespace {

constexpr Duration kBetweenLooks = std::chrono::seconds(1);
// Some block lists of hosts are large. What is behind this is not read.
constexpr std::size_t kMostBytes = std::size_t{16} << 20;

Duration to_duration(const timespec& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// Then there is no file, for this process. All else says nothing of what is in it.
bool is_absence(int error) {
  return error == ENOENT || error == ENOTDIR || error == EACCES || error == ELOOP ||
         error == ENAMETOOLONG;
}

class File {
 public:
  explicit File(const char* path) noexcept : fd_(::open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

}  // namespace

WatchedFile::Version WatchedFile::version_of(const struct stat& status) {
  Version version;
  version.there = S_ISREG(status.st_mode);
  version.device = status.st_dev;
  version.inode = status.st_ino;
  version.size = status.st_size;
#ifdef __APPLE__
  version.modified = to_duration(status.st_mtimespec);
  version.status_changed = to_duration(status.st_ctimespec);
#else
  version.modified = to_duration(status.st_mtim);
  version.status_changed = to_duration(status.st_ctim);
#endif
  return version;
}

std::optional<std::string> WatchedFile::changed(TimePoint now) {
  if (now < next_look_) return std::nullopt;
  next_look_ = now + kBetweenLooks;
  struct stat status {};
  seen_ = Version();
  if (!path_.empty() && ::stat(path_.c_str(), &status) == 0) {
    seen_ = version_of(status);
  } else if (!path_.empty() && !is_absence(errno)) {
    return unreadable(errno);
  }
  if (was_applied_ && seen_ == applied_) return std::nullopt;
  return read();
}

std::optional<std::string> WatchedFile::read() {
  std::string text;
  if (!seen_.there) return text;
  const File file(path_.c_str());
  seen_ = Version();
  if (file.fd() < 0 && is_absence(errno)) return text;
  struct stat status {};
  if (file.fd() < 0 || ::fstat(file.fd(), &status) != 0) return unreadable(errno);
  if (!S_ISREG(status.st_mode)) return text;
  seen_ = version_of(status);
  std::array<char, 4096> part;  // NOLINT(cppcoreguidelines-pro-type-member-init): read fills it
  while (text.size() < kMostBytes) {
    const ssize_t size = ::read(file.fd(), part.data(), part.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return unreadable(errno);
    if (size == 0) break;
    text.append(part.data(), static_cast<std::size_t>(size));
  }
  return text;
}

std::nullopt_t WatchedFile::unreadable(int error) {
  if (was_applied_) return std::nullopt;
  look_soon();
  throw std::system_error(error, std::system_category(), path_.string());
}

}  // namespace event_cpp::dns::detail
