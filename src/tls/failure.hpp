// From what OpenSSL says to an Error.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "event/tls/error.hpp"
#include "tls/openssl.hpp"

namespace event_cpp::tls::detail {

// A certificate of the peer that did not verify.
struct Fault {
  std::string subject;
  int depth = -1;
};

struct ErrorDetails : Fault {
  std::string what;
  std::string host;
  int alert = -1;
  bool by_peer = false;
};

// What has ended a connection. Without memory for the details they are missing.
struct Failure {
  std::error_code code;
  std::shared_ptr<const ErrorDetails> details;

  Error error() const { return details != nullptr ? Error(code, details) : Error(code); }
};

// Of a call on `ssl` that has failed for good; empties the error queue of this thread. `host` is
// who was to be at the other end. `refused_name`: this side has refused the name in the
// ClientHello.
Failure failure_of(const SSL* ssl, std::string_view host, const Fault& fault,
                   bool refused_name) noexcept;
Failure make_failure(std::error_code code, std::string_view host, const Fault& fault = {}) noexcept;

// "CN=example.com,O=Example", as RFC 2253 has it; empty without memory.
std::string subject_of(X509* certificate) noexcept;

// Of a context, a certificate, or the like. Empties the error queue of this thread, and adds its
// reason to `what`.
[[noreturn]] void throw_openssl(std::error_code code, const std::string& what);

}  // namespace event_cpp::tls::detail
