// What OpenSSL calls back: on the way to the Connection of an SSL, or to its context.
#pragma once

#include "event/tls/context.hpp"
#include "tls/openssl.hpp"

namespace event_cpp::tls::detail {

void set_client_callbacks(SSL_CTX* context, bool verifies) noexcept;
void set_server_callbacks(SSL_CTX* context, Ask client) noexcept;

// After the handshake: has its connection count the messages of the peer.
void count_messages(SSL* ssl) noexcept;

}  // namespace event_cpp::tls::detail
