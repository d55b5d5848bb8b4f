// What OpenSSL calls back: on the way to the Connection of an SSL, or to its context.
#pragma once

#include "event/tls/context.hpp"
#include "tls/openssl.hpp"

namespace event_cpp::tls::detail {

class Connection;

void set_client_callbacks(SSL_CTX* context, bool verifies) noexcept;
void set_server_callbacks(SSL_CTX* context, Ask client) noexcept;

// From now on the callbacks of `ssl` concern this connection. Null: none.
void set_connection(SSL* ssl, Connection* connection) noexcept;

}  // namespace event_cpp::tls::detail
