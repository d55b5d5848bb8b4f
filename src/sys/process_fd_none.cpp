#include <cerrno>

#include "sys/process_fd.hpp"

namespace event_cpp::detail {

int open_process_fd(pid_t, UniqueFd&) noexcept { return ENOSYS; }

int signal_process(int, int) noexcept { return ENOSYS; }

}  // namespace event_cpp::detail
