#include "tls/failure.hpp"

#include <openssl/err.h>
#include <openssl/proverr.h>

#include <exception>
#include <utility>

namespace event_cpp::tls::detail {
namespace {

struct Meaning {
  int number;
  Errc code;
};

// Reasons of OpenSSL: what this side has found.
constexpr Meaning kReasons[] = {
    {SSL_R_UNSUPPORTED_PROTOCOL, Errc::protocol_version},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, Errc::protocol_version},
    {SSL_R_UNSUPPORTED_SSL_VERSION, Errc::protocol_version},
    {SSL_R_VERSION_TOO_LOW, Errc::protocol_version},
    {SSL_R_VERSION_TOO_HIGH, Errc::protocol_version},
    {SSL_R_UNKNOWN_PROTOCOL, Errc::not_tls},
    {SSL_R_WRONG_VERSION_NUMBER, Errc::not_tls},
    {SSL_R_HTTP_REQUEST, Errc::plain_http},
    {SSL_R_HTTPS_PROXY_REQUEST, Errc::plain_http},
    {SSL_R_NO_SHARED_CIPHER, Errc::no_shared_cipher},
    {SSL_R_NO_CIPHERS_AVAILABLE, Errc::no_shared_cipher},
    {SSL_R_NO_SUITABLE_KEY_SHARE, Errc::no_shared_cipher},
    {SSL_R_NO_SHARED_GROUPS, Errc::no_shared_cipher},
    {SSL_R_NO_SUITABLE_GROUPS, Errc::no_shared_cipher},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, Errc::no_shared_cipher},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, Errc::no_shared_cipher},
    {SSL_R_NO_APPLICATION_PROTOCOL, Errc::no_application_protocol},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, Errc::certificate_required},
    {SSL_R_NO_RENEGOTIATION, Errc::renegotiation},
};

// Alerts of the peer: see RFC 8446 section 6.
constexpr Meaning kAlerts[] = {
    {SSL_AD_BAD_RECORD_MAC, Errc::bad_record},
    {SSL_AD_RECORD_OVERFLOW, Errc::bad_record},
    {SSL_AD_BAD_CERTIFICATE, Errc::bad_certificate},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, Errc::wrong_purpose},
    {SSL_AD_CERTIFICATE_REVOKED, Errc::revoked},
    {SSL_AD_CERTIFICATE_EXPIRED, Errc::certificate_expired},
    {SSL_AD_CERTIFICATE_UNKNOWN, Errc::bad_certificate},
    {SSL_AD_UNKNOWN_CA, Errc::unknown_issuer},
    {SSL_AD_DECODE_ERROR, Errc::bad_record},
    {SSL_AD_DECRYPT_ERROR, Errc::bad_record},
    {SSL_AD_PROTOCOL_VERSION, Errc::protocol_version},
    {SSL_AD_INSUFFICIENT_SECURITY, Errc::no_shared_cipher},
    {SSL_AD_NO_RENEGOTIATION, Errc::renegotiation},
    {SSL_AD_UNRECOGNIZED_NAME, Errc::unknown_name},
    {TLS13_AD_CERTIFICATE_REQUIRED, Errc::certificate_required},
    {SSL_AD_NO_APPLICATION_PROTOCOL, Errc::no_application_protocol},
};

constexpr Meaning kFaults[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, Errc::certificate_expired},
    {X509_V_ERR_CERT_NOT_YET_VALID, Errc::certificate_not_yet_valid},
    {X509_V_ERR_HOSTNAME_MISMATCH, Errc::wrong_host},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, Errc::wrong_host},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, Errc::self_signed},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, Errc::self_signed},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, Errc::unknown_issuer},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, Errc::unknown_issuer},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, Errc::unknown_issuer},
    {X509_V_ERR_CERT_UNTRUSTED, Errc::unknown_issuer},
    {X509_V_ERR_INVALID_PURPOSE, Errc::wrong_purpose},
    {X509_V_ERR_CERT_REVOKED, Errc::revoked},
    {X509_V_ERR_OUT_OF_MEM, Errc::internal},
};

template <std::size_t kSize>
Errc meaning(const Meaning (&table)[kSize], int number, Errc otherwise) noexcept {
  for (const Meaning& entry : table) {
    if (entry.number == number) return entry.code;
  }
  return otherwise;
}

constexpr int kAlertsFrom = 1000;  // reasons: this and the number of the alert
constexpr int kAlertsTo = kAlertsFrom + 256;

// The error queue of this thread, emptied.
struct Queue {
  int reason = 0;  // the first of the floor of TLS
  bool no_memory = false;
  bool no_entropy = false;
  bool internal = true;
  const char* text = nullptr;

  Queue() noexcept {
    for (unsigned long error = ERR_get_error(); error != 0; error = ERR_get_error()) {
      const int its_reason = ERR_GET_REASON(error);
      no_memory |= its_reason == ERR_R_MALLOC_FAILURE;
      no_entropy |=
          ERR_GET_LIB(error) == ERR_LIB_PROV && its_reason == PROV_R_ERROR_RETRIEVING_ENTROPY;
      if (its_reason == ERR_R_INTERNAL_ERROR || its_reason == ERR_R_MALLOC_FAILURE) continue;
      internal = false;
      if (ERR_GET_LIB(error) != ERR_LIB_SSL || reason != 0) {
        if (text == nullptr) text = ERR_reason_error_string(error);
        continue;
      }
      reason = its_reason;
      text = ERR_reason_error_string(error);
    }
    // Without random numbers OpenSSL goes on to say that there was no memory to make something.
    if (!no_entropy) return;
    no_memory = false;
    internal = true;
    reason = 0;
  }
};

Errc fault_of(const SSL* ssl) noexcept {
  const long verified = SSL_get_verify_result(ssl);
  const Errc code = meaning(kFaults, static_cast<int>(verified), Errc::bad_certificate);
  if (code != Errc::unknown_issuer || verified == X509_V_ERR_CERT_UNTRUSTED) return code;
  return sk_X509_num(SSL_get_peer_cert_chain(ssl)) == 1 ? Errc::incomplete_chain : code;
}

void describe(ErrorDetails& details, const std::error_code& code, const char* more) {
  std::string& what = details.what;
  what = details.host;
  if (!what.empty()) what += ": ";
  if (details.by_peer && code != Errc::peer_alert) what += "refused by the peer: ";
  what += code.message();
  if (!details.subject.empty()) {
    what.append(" (").append(details.subject).append(", depth ");
    what.append(std::to_string(details.depth)).append(")");
  } else if (details.by_peer) {
    what.append(" (alert ").append(std::to_string(details.alert));
    if (code == Errc::peer_alert) what.append(", ").append(more);
    what.append(")");
  } else if (more != nullptr) {
    what.append(" (").append(more).append(")");
  }
}

Failure describe(const std::error_code& code, std::string_view host, const Fault& fault, int alert,
                 const char* more) noexcept {
  Failure failure{code, nullptr};
  try {
    auto details = std::make_shared<ErrorDetails>();
    details->host = host;
    static_cast<Fault&>(*details) = fault;
    details->alert = alert;
    details->by_peer = alert >= 0;
    describe(*details, code, more);
    failure.details = std::move(details);
  } catch (const std::bad_alloc&) {  // the code alone
  }
  return failure;
}

}  // namespace

Failure failure_of(const SSL* ssl, std::string_view host, const Fault& fault,
                   bool refused_name) noexcept {
  const Queue queue;
  if (queue.no_memory)
    return make_failure(std::make_error_code(std::errc::not_enough_memory), host);
  if (refused_name) return make_failure(Errc::unknown_name, host);
  if (queue.reason == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    const char* const text = X509_verify_cert_error_string(SSL_get_verify_result(ssl));
    return describe(fault_of(ssl), host, fault, -1, text);
  }
  if (queue.reason > kAlertsFrom && queue.reason < kAlertsTo) {
    const int alert = queue.reason - kAlertsFrom;
    return describe(meaning(kAlerts, alert, Errc::peer_alert), host, {}, alert,
                    SSL_alert_desc_string_long(alert));
  }
  const Errc otherwise = queue.internal ? Errc::internal : Errc::bad_record;
  const Errc code = meaning(kReasons, queue.reason, otherwise);
  return describe(code, host, {}, -1, code == otherwise ? queue.text : nullptr);
}

Failure make_failure(std::error_code code, std::string_view host, const Fault& fault) noexcept {
  return describe(code, host, fault, -1, nullptr);
}

std::string subject_of(X509* certificate) noexcept {
  if (certificate == nullptr) return {};
  try {
    const BioPtr text(or_bad_alloc(BIO_new(BIO_s_mem())));
    X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
    char* data = nullptr;
    const long size = BIO_get_mem_data(text.get(), &data);
    return {data, static_cast<std::size_t>(size)};
  } catch (const std::bad_alloc&) {
    return {};
  }
}

void throw_openssl(std::error_code code, const std::string& what) {
  const Queue queue;
  if (queue.no_memory) throw std::bad_alloc();
  auto details = std::make_shared<ErrorDetails>();
  details->what = what + ": " + code.message();
  if (queue.text != nullptr) details->what += std::string(" (") + queue.text + ")";
  throw Error(code, std::move(details));
}

}  // namespace event_cpp::tls::detail
