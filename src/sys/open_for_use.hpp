// Tells a descriptor that only names a file.
#pragma once

#include <fcntl.h>

namespace event_cpp::detail {

// fstat(2) accepts a descriptor that only names a file (O_PATH), which cannot be read, written or
// waited for. Requires: it is open.
inline bool is_open_for_use(int fd) noexcept {
#ifdef O_PATH
  const int flags = ::fcntl(fd, F_GETFL);
  return flags < 0 || (flags & O_PATH) == 0;  // an error is no proof
#else
  static_cast<void>(fd);
  return true;
#endif
}

}  // namespace event_cpp::detail
