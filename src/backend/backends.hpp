// How each backend is made: one function a kernel, defined in the kernel's own file.
#pragma once

#include <memory>

#include "backend/backend.hpp"

namespace event_cpp::detail {

// Errors: throws std::system_error with the system's own code.
std::unique_ptr<BackendPort> make_epoll();
std::unique_ptr<BackendPort> make_kqueue();
std::unique_ptr<BackendPort> make_poll();

}  // namespace event_cpp::detail
