// A child process as a descriptor.
#pragma once

#include <sys/types.h>

#include "base/unique_fd.hpp"

namespace event_cpp::detail {

// Gives in `fd` a close-on-exec descriptor that is readable once the process has ended. Returns 0
// or an errno; ENOSYS where the system has no such thing.
int open_process_fd(pid_t pid, UniqueFd& fd) noexcept;

// Sends the process a signal. Returns 0 or an errno; ENOSYS where the system has no such thing.
int signal_process(int process, int signo) noexcept;

}  // namespace event_cpp::detail
