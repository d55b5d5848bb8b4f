// A pipe that no other child inherits.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/unique_fd.hpp"

namespace event_cpp::net::detail {

// Both ends are close-on-exec, blocking, and `least` or higher. Returns false, and errno says why,
// if there is none. Where the system has no pipe2(2), a child that another thread starts meanwhile
// by other means than this library may inherit it.
inline bool make_pipe(event_cpp::detail::UniqueFd& reader, event_cpp::detail::UniqueFd& writer,
                      int least = 3) noexcept {
  using event_cpp::detail::UniqueFd;
  int ends[2];
#ifdef __linux__
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
#else
  if (::pipe(ends) != 0) return false;
  for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
#endif
  UniqueFd made[] = {UniqueFd(ends[0]), UniqueFd(ends[1])};
  for (UniqueFd& end : made) {
    if (end.get() >= least) continue;
    UniqueFd above(::fcntl(end.get(), F_DUPFD_CLOEXEC, least));
    if (!above) return false;
    end = std::move(above);
  }
  reader = std::move(made[0]);
  writer = std::move(made[1]);
  return true;
}

}  // namespace event_cpp::net::detail
