// disconnect(): for the child of a fork, which shares the connections of its parent.
#pragma once

#include <fcntl.h>
#include <unistd.h>

namespace event_cpp::adapters::detail {

// Replaces a socket by another file, which takes no data. So a library that closes a connection
// cannot say goodbye to the server, which would end the session of the parent.
inline void disconnect(int fd) noexcept {
  const int other = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (other < 0 || ::dup2(other, fd) < 0) ::close(fd);
  if (other >= 0) ::close(other);
}

}  // namespace event_cpp::adapters::detail
