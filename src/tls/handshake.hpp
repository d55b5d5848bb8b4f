// The handshake, of both sides.
#pragma once

#include <memory>

#include "event/co/task.hpp"
#include "event/tls/stream.hpp"
#include "tls/connection.hpp"

namespace event_cpp::tls::detail {

// Of a connection that knows which side it is. Has no limit of time. Errors: as accept() and
// client(); then the connection is closed.
co::Task<Stream> shake_hands(std::unique_ptr<Connection> connection);

}  // namespace event_cpp::tls::detail
