// The sessions that a client keeps for later connections.
#pragma once

#include <list>
#include <mutex>
#include <string>

#include "tls/openssl.hpp"

namespace event_cpp::tls::detail {

// Has a session know when the first certificate of the chain that was verified expires. One that
// goes on with an earlier session knows it from there. Without memory it does not, and holds.
void note_end(const SSL* ssl, SSL_SESSION* session) noexcept;
// Whether all of these certificates are valid still.
bool holds(SSL_SESSION* session) noexcept;

// By host and port, the latest first, at most so many. Those of TLS 1.3 serve once (RFC 8446,
// C.4). A search looks at all of them, which is little beside a handshake. Thread-safety: any
// thread.
class Sessions {
 public:
  explicit Sessions(std::size_t most) noexcept : most_(most) {}

  // Dropped without memory.
  void keep(const std::string& key, SessionPtr session) noexcept;
  // One that holds. Null: none.
  SessionPtr take(const std::string& key) noexcept;

 private:
  struct Entry {
    std::string key;
    SessionPtr session;
  };

  const std::size_t most_;
  std::mutex mutex_;
  std::list<Entry> entries_;
};

}  // namespace event_cpp::tls::detail
