// A peer of OpenSSL alone, over memory: for what this library does not do.
#pragma once

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "event/net/stream.hpp"
#include "event/tls/context.hpp"

namespace event_cpp::test {

// A certificate, those between it and a root, and its key.
inline void use_identity(SSL_CTX* context, const tls::Pem& pem) {
  BIO* const bio = BIO_new_mem_buf(pem.certificates.data(), -1);
  X509* const certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  BIO* const key_bio = BIO_new_mem_buf(pem.key.data(), -1);
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(key_bio, nullptr, nullptr, nullptr);
  EXPECT_EQ(SSL_CTX_use_certificate(context, certificate), 1);
  EXPECT_EQ(SSL_CTX_use_PrivateKey(context, key), 1);
  while (X509* const next = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) {
    SSL_CTX_add0_chain_cert(context, next);
  }
  ERR_clear_error();
  X509_free(certificate);
  EVP_PKEY_free(key);
  BIO_free(bio);
  BIO_free(key_bio);
}

using OpensslContext = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

// One connection.
class OpensslPeer {
 public:
  enum class Role : std::uint8_t { client, server };

  // Bytes come from and go to `end`, which outlives this.
  OpensslPeer(SSL_CTX* context, net::Stream& end, Role role)
      : end_(end), ssl_(SSL_new(context), &SSL_free) {
    SSL_set_bio(ssl(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (role == Role::client) {
      SSL_set_connect_state(ssl());
    } else {
      SSL_set_accept_state(ssl());
    }
  }

  SSL* ssl() const { return ssl_.get(); }

  // Gives OpenSSL what has come.
  void take() {
    std::array<char, 5000> room{};
    const net::Io io = end_.try_read(room);
    if (io > 0) BIO_write(SSL_get_rbio(ssl()), room.data(), static_cast<int>(io));
  }
  // What OpenSSL wants to send, which has to be given.
  std::string sent() {
    std::string text(10'000, '\0');
    const int size = BIO_read(SSL_get_wbio(ssl()), text.data(), static_cast<int>(text.size()));
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }
  void give(const std::string& text) {
    if (text.empty()) return;
    EXPECT_EQ(end_.try_write(text), static_cast<net::Io>(text.size()));
  }
  // A step of the handshake. True: it is done, and what is to be sent behind it is not given.
  bool shake_hands() {
    take();
    const bool done = SSL_do_handshake(ssl()) == 1;
    if (!done) give(sent());
    return done;
  }
  // What has come, up to 100 bytes.
  std::string received() {
    take();
    std::string text(100, '\0');
    const int size = SSL_read(ssl(), text.data(), static_cast<int>(text.size()));
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return text;
  }

 private:
  net::Stream& end_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
};

}  // namespace event_cpp::test
