// How each backend is made: one function a kernel, defined in the kernel's own file.
#pragma once

#include <memory>

#include "poller/poller.hpp"

namespace event_cpp::detail {

// Errors: throws std::system_error with the system's own code.
std::unique_ptr<Poller> make_epoll();
std::unique_ptr<Poller> make_kqueue();
std::unique_ptr<Poller> make_poll();
std::unique_ptr<Poller> make_none();

}  // namespace event_cpp::detail
