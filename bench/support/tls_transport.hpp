// How the client of the echo servers carries bytes: over TLS, by OpenSSL alone. Certificates are
// not checked. With BENCH_RESUME set, each connection goes on with the session of the one before;
// with BENCH_RECORD, a record has so many bytes at most.
#pragma once

#include <openssl/ssl.h>

#include <csignal>
#include <cstddef>
#include <cstdlib>

#include "support/system.hpp"

namespace bench {

class Transport {
 public:
  Transport() = default;
  ~Transport() { SSL_free(ssl_); }
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  void begin(int fd) {
    ssl_ = SSL_new(context());
    SSL_set_fd(ssl_, fd);
    if (session() != nullptr) SSL_set_session(ssl_, session());
    if (SSL_connect(ssl_) != 1) fail("SSL_connect");
  }
  ssize_t send(const char* from, std::size_t size) {
    return SSL_write(ssl_, from, static_cast<int>(size));
  }
  ssize_t receive(char* to, std::size_t size) { return SSL_read(ssl_, to, static_cast<int>(size)); }
  void end() { SSL_shutdown(ssl_); }

 private:
  static SSL_SESSION*& session() {
    static SSL_SESSION* kept = nullptr;
    return kept;
  }
  static int keep(SSL* /*ssl*/, SSL_SESSION* given) {
    SSL_SESSION_free(session());
    session() = given;
    return 1;
  }
  static SSL_CTX* context() {
    static SSL_CTX* const instance = [] {
      std::signal(SIGPIPE, SIG_IGN);
      SSL_CTX* const made = SSL_CTX_new(TLS_client_method());
      SSL_CTX_set_mode(made, SSL_MODE_RELEASE_BUFFERS);
      if (const char* const size = std::getenv("BENCH_RECORD"); size != nullptr) {
        SSL_CTX_set_max_send_fragment(made, std::atol(size));
      }
      if (std::getenv("BENCH_RESUME") != nullptr) {
        SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(made, &keep);
      }
      return made;
    }();
    return instance;
  }

  SSL* ssl_ = nullptr;
};

}  // namespace bench
