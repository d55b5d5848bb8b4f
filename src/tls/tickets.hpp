// The keys with which a server encrypts its session tickets.
#pragma once

#include <openssl/ssl.h>

#include <array>
#include <mutex>

#include "event/time.hpp"
#include "tls/openssl.hpp"

namespace event_cpp::tls::detail {

// The latest key makes tickets, and the one before still opens them. Thread-safety: any thread.
class TicketKeys {
 public:
  // Errors: throws Error, Errc::internal, without random numbers.
  TicketKeys();

  // What OpenSSL calls to make (`makes`) or open a ticket: see
  // SSL_CTX_set_tlsext_ticket_key_evp_cb.
  // One that serves once is followed by another.
  int prepare(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
              bool makes, bool serves_once, TimePoint now, Duration rotation) noexcept;

 private:
  static constexpr std::size_t kNameSize = 16;
  static constexpr std::size_t kIvSize = 16;
  struct Key {
    std::array<unsigned char, kNameSize> name;
    std::array<unsigned char, 32> cipher;
    std::array<unsigned char, 32> mac;
  };

  static bool make(Key& key) noexcept;
  void rotate(TimePoint now, Duration rotation) noexcept;

  const CipherPtr cipher_;  // fetched once: that takes a lock
  std::mutex mutex_;
  Key latest_{};
  Key before_{};
  bool has_before_ = false;
  TimePoint since_{};  // of the latest, from its first use on
};

}  // namespace event_cpp::tls::detail
