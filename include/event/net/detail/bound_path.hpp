// The path of a Unix socket, which stays in the file system when the socket is closed.
#pragma once

#include <sys/types.h>

#include <string>

#include "event/detail/export.hpp"
#include "event/net/address.hpp"

namespace event_cpp::net::detail {

// Removes the path of a socket, if it is still this one's: another process may have taken it.
class EVENT_API BoundPath {
 public:
  BoundPath() noexcept = default;
  // A socket was bound to this address. No path: nothing is removed.
  explicit BoundPath(const Address& address);

  void remove() noexcept;
  void forget() noexcept { path_.clear(); }

 private:
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace event_cpp::net::detail
