#include "event/net/kernel.hpp"

#include <memory>

#include "net/net_state.hpp"

namespace event_cpp::net {

using event_cpp::detail::Floor;
using event_cpp::detail::floors_of;

detail::NetState& detail::state_of(Base& base) {
  auto* const state = floors_of(base).get<NetState>(Floor::net);
  if (state != nullptr) return *state;
  return floors_of(base).set(Floor::net, std::make_unique<NetState>());
}

void set_kernel(Base& base, Kernel* kernel) { detail::state_of(base).kernel = kernel; }

Kernel* kernel_of(Base& base) noexcept {
  const auto* const state = floors_of(base).get<detail::NetState>(Floor::net);
  return state != nullptr ? state->kernel : nullptr;
}

namespace detail {

Kernel& simulated(Base& base) noexcept { return *kernel_of(base); }

ssize_t simulated_recv(Base& base, int fd, void* to, std::size_t size, int flags) {
  iovec part{to, size};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  return simulated(base).recvmsg(fd, &message, flags);
}

ssize_t simulated_send(Base& base, int fd, const void* from, std::size_t size, int flags) {
  iovec part{const_cast<void*>(from), size};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  return simulated(base).sendmsg(fd, &message, flags);
}

}  // namespace detail
}  // namespace event_cpp::net
