// The certificate of the TLS servers, and OpenSSL's context for those that use it themselves: as
// event::tls sets it up, so that only what lies between OpenSSL and the socket differs.
#pragma once

#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <csignal>
#include <string>

#include "event/tls/test.hpp"
#include "support/system.hpp"

namespace bench {

inline event_cpp::tls::Pem certificate() {
  return event_cpp::tls::test::Authority::self_signed({"localhost"});
}

inline void set_up(SSL_CTX* context) {
  std::signal(SIGPIPE, SIG_IGN);  // which OpenSSL raises
  const event_cpp::tls::Pem pem = certificate();
  BIO* const text = BIO_new_mem_buf(pem.certificates.data(), -1);
  BIO* const key_text = BIO_new_mem_buf(pem.key.data(), -1);
  X509* const own = PEM_read_bio_X509(text, nullptr, nullptr, nullptr);
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(key_text, nullptr, nullptr, nullptr);
  if (SSL_CTX_use_cert_and_key(context, own, key, nullptr, 1) != 1) fail("certificate");
  X509_free(own);
  EVP_PKEY_free(key);
  BIO_free(text);
  BIO_free(key_text);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

}  // namespace bench
