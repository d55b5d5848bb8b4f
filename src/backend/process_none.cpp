#include <cerrno>

#include "backend/process.hpp"

namespace event_cpp::detail {

int open_process(pid_t, UniqueFd&) noexcept { return ENOSYS; }

int signal_process(int, int) noexcept { return ENOSYS; }

}  // namespace event_cpp::detail
