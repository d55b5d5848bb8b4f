// BoundPath: the path of a Unix socket, which remains in the file system when the socket is closed.
#pragma once

#include <sys/types.h>

#include <string>

#include "event/detail/export.hpp"
#include "event/net/address.hpp"

namespace event_cpp::net::detail {

// Removes the path of a bound socket, unless
//   - it is not the same file any more: another process may have replaced it
//   - this is a child of fork(2), and the process that bound the socket still exists
class EVENT_API BoundPath {
 public:
  BoundPath() noexcept = default;
  // Call it after a socket was bound to `address`. For an address without a path it does nothing.
  explicit BoundPath(const Address& address);

  void remove() noexcept;
  void forget() noexcept { path_.clear(); }

 private:
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  pid_t binder_ = 0;  // the process that has bound the socket
};

}  // namespace event_cpp::net::detail
