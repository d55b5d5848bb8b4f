// BoundPath: the path of a Unix socket, which remains in the file system when the socket is closed.
#pragma once

#include <sys/types.h>

#include <string>

#include "event/detail/export.hpp"
#include "event/net/address.hpp"

namespace event_cpp::net::detail {

// Removes the path of a bound socket, if it still is the same file: another process may have
// replaced it.
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
};

}  // namespace event_cpp::net::detail
