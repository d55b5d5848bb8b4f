// Certificates and keys as text.
#pragma once

#include <string>
#include <vector>

#include "event/tls/context.hpp"
#include "tls/openssl.hpp"

namespace event_cpp::tls::detail {

// Errors of all: throw Error, Errc::bad_file; std::bad_alloc.

// All certificates in the text; at least one. `what` is for the error.
std::vector<CertificatePtr> parse_certificates(const std::string& text, const std::string& what);

struct Identity {
  CertificatePtr certificate;
  CertificatesPtr chain;  // without it; null: nothing, so that connections hold no empty one
  KeyPtr key;
};

// Errors: also Errc::key_mismatch.
Identity parse_identity(const Pem& pem, const std::string& what);

// The DNS names in a certificate, in lower case.
std::vector<std::string> names_of(const X509* certificate);

std::string to_pem(X509* certificate);
std::string to_pem(EVP_PKEY* key);

}  // namespace event_cpp::tls::detail
