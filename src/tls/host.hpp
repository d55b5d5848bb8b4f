// The name or address of a host, as certificates and ClientHello have it.
#pragma once

#include <string>
#include <string_view>

#include "tls/openssl.hpp"

namespace event_cpp::tls::detail {

class Host {
 public:
  Host() = default;
  // Errors: throws Error, std::errc::invalid_argument, for what is neither a name in ASCII nor an
  // address.
  explicit Host(std::string_view text);

  bool empty() const noexcept { return text_.empty(); }
  bool is_address() const noexcept { return is_address_; }
  // In lower case, without a dot at its end, brackets or a scope.
  const std::string& text() const noexcept { return text_; }

  // Sends it in the ClientHello, if it is a name. Errors: throws std::bad_alloc.
  void ask(SSL* ssl) const;
  // Has the certificate checked for it. Requires: not empty(). Errors: throws std::bad_alloc.
  void demand(SSL* ssl) const;
  // Whether the certificate is for it.
  bool matches(X509* certificate) const noexcept;

 private:
  std::string text_;
  bool is_address_ = false;
};

}  // namespace event_cpp::tls::detail
