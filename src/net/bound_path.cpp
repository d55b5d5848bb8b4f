#include "event/net/detail/bound_path.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <system_error>

namespace event_cpp::net::detail {
namespace {

// Whether the process that has bound the socket is a parent of this one, and still exists. A daemon
// outlives the process that made its socket, and so removes the path itself.
bool belongs_to_parent(pid_t binder) noexcept {
  return binder != ::getpid() && (::kill(binder, 0) == 0 || errno != ESRCH);
}

}  // namespace

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
  binder_ = ::getpid();
}

void BoundPath::remove() noexcept {
  struct stat status {};
  if (!path_.empty() && !belongs_to_parent(binder_) && ::lstat(path_.c_str(), &status) == 0 &&
      status.st_dev == device_ && status.st_ino == inode_) {
    ::unlink(path_.c_str());
  }
  path_.clear();
}

}  // namespace event_cpp::net::detail
