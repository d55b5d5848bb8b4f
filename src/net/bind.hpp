// Binding a socket to an address.
#pragma once

#include "event/net/address.hpp"
#include "event/net/socket.hpp"

namespace event_cpp::net::detail {

// Binds a socket of this type, SOCK_STREAM or SOCK_DGRAM. A Unix path at which a process that is
// gone has left its socket is removed first. Errors: throws std::system_error.
void bind_anew(Socket& socket, const Address& address, int type);

}  // namespace event_cpp::net::detail
