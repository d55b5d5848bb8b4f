#include "tls/tickets.hpp"

#include <openssl/core_names.h>
#include <openssl/rand.h>

#include <algorithm>

#include "tls/failure.hpp"

namespace event_cpp::tls::detail {

TicketKeys::TicketKeys() : cipher_(EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr)) {
  if (cipher_ == nullptr || !make(latest_))
    throw_openssl(Errc::internal, "keys of session tickets");
}

bool TicketKeys::make(Key& key) noexcept {
  return RAND_bytes(key.name.data(), static_cast<int>(key.name.size())) == 1 &&
         RAND_priv_bytes(key.cipher.data(), static_cast<int>(key.cipher.size())) == 1 &&
         RAND_priv_bytes(key.mac.data(), static_cast<int>(key.mac.size())) == 1;
}

void TicketKeys::rotate(TimePoint now, Duration rotation) noexcept {
  if (since_ == TimePoint{}) since_ = now;
  if (rotation <= Duration::zero() || now - since_ < rotation) return;
  Key next{};
  if (!make(next)) return;  // the old one goes on
  has_before_ = now - since_ < 2 * rotation;
  before_ = latest_;
  latest_ = next;
  since_ = now;
}

int TicketKeys::prepare(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                        EVP_MAC_CTX* mac, bool makes, bool serves_once, TimePoint now,
                        Duration rotation) noexcept {
  constexpr int kFailed = -1;
  constexpr int kUnknown = 0;
  constexpr int kGood = 1;
  constexpr int kGoodAndReplaced = 2;
  const std::lock_guard lock(mutex_);
  rotate(now, rotation);
  const Key* key = &latest_;
  if (makes) {
    std::copy(key->name.begin(), key->name.end(), name);
    if (RAND_bytes(iv, kIvSize) != 1) return kFailed;
  } else if (!std::equal(key->name.begin(), key->name.end(), name)) {
    key = &before_;
    if (!has_before_ || !std::equal(key->name.begin(), key->name.end(), name)) return kUnknown;
  }
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(
          OSSL_MAC_PARAM_KEY, const_cast<unsigned char*>(key->mac.data()), key->mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>("SHA256"), 0),
      OSSL_PARAM_construct_end()};
  if (EVP_MAC_CTX_set_params(mac, params) != 1 ||
      EVP_CipherInit_ex2(cipher, cipher_.get(), key->cipher.data(), iv, makes ? 1 : 0, nullptr) !=
          1)
    return kFailed;
  return key == &latest_ && !serves_once ? kGood : kGoodAndReplaced;
}

}  // namespace event_cpp::tls::detail
