#include "event/net/detail/bound_path.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

namespace event_cpp::net::detail {

BoundPath::BoundPath(const Address& address) {
  if (!address.is_unix() || address.is_abstract()) return;
  std::error_code error;  // if the working directory is gone
  std::string path = std::filesystem::absolute(address.path(), error).string();
  if (error) path = address.path();
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return;
  path_ = std::move(path);
  device_ = status.st_dev;
  inode_ = status.st_ino;
}

void BoundPath::remove() noexcept {
  struct stat status {};
  if (!path_.empty() && ::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ &&
      status.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
  path_.clear();
}

}  // namespace event_cpp::net::detail
