// Errors that pass.
#pragma once

#include <cerrno>

namespace event_cpp::detail {

// The system has what was asked for, but no room for one more now; any other error says that it
// lacks it, and something else must do.
constexpr bool is_resource_exhausted(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOSPC;
}

}  // namespace event_cpp::detail
