// The errors of TLS, each with what it is about.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "event/detail/export.hpp"
#include "event/fwd.hpp"

namespace event_cpp::tls {

// Why a connection was refused or has ended. Error::by_peer() tells whether this side has found it
// or the peer has reported it.
enum class Errc {
  none,
  certificate_expired,
  certificate_not_yet_valid,
  wrong_host,      // the certificate is for other names
  self_signed,     // the certificate, or the root that the peer has sent, is not trusted
  unknown_issuer,  // who has signed it is not trusted
  // Only the certificate itself came, and nobody trusted has signed it: most likely the server
  // lacks the certificate of an authority in between.
  incomplete_chain,
  wrong_purpose,            // such as a client's certificate at a server
  revoked,                  //
  bad_certificate,          // anything else that is wrong with one
  certificate_required,     // the client has none, or has sent none
  protocol_version,         // no version in common
  no_shared_cipher,         // no cipher, group or signature algorithm in common
  no_application_protocol,  // no protocol of ALPN in common
  unknown_name,             // the server has no certificate for the name (SNI)
  not_tls,                  // the peer does not speak TLS
  plain_http,               // a client has sent HTTP without TLS
  peer_alert,               // the peer has reported something else: see Error::alert()
  bad_record,               // bytes that are damaged, forged, or against the protocol
  key_mismatch,             // the private key does not belong to the certificate
  bad_file,                 // a certificate or key cannot be read or understood
  renegotiation,            // the peer has asked for what is not supported
  too_many_updates,         // of keys, by the peer
  internal                  // of OpenSSL
};

// The category of these codes, named "event::tls".
EVENT_API const std::error_category& category() noexcept;
EVENT_API std::error_code make_error_code(Errc code) noexcept;

namespace detail {
struct ErrorDetails;
}  // namespace detail

// What connect(), client(), accept() and contexts throw, and the operations of a Stream for a code
// of this category. The code may also be of another one: a handshake that the network has cut
// throws ECONNRESET, or event::Errc::truncated. what() names the host and the certificate:
//   example.com: certificate has expired (CN=example.com, depth 0)
struct EVENT_API Error : std::system_error {
  using std::system_error::system_error;
  Error(std::error_code code, std::shared_ptr<const detail::ErrorDetails> details);
  Error(const Error&) = default;
  Error& operator=(const Error&) = default;
  ~Error() override;

  const char* what() const noexcept override;
  // Who was to be at the other end. At a server the address of the client, as 192.0.2.7:4711, if
  // the stream below is a SocketStream over IP; else empty.
  std::string_view host() const noexcept;
  // Of the certificate at fault, as RFC 2253 writes it: "CN=example.com,O=Example". Else empty.
  std::string_view subject() const noexcept;
  // Of this certificate: 0 is the peer's own, 1 that of its issuer. Else -1.
  int depth() const noexcept;
  // The number of the alert that the peer has sent, see RFC 8446 section 6. Else -1.
  int alert() const noexcept;
  // Whether the peer has refused this side, and not the other way round.
  bool by_peer() const noexcept;

 private:
  std::shared_ptr<const detail::ErrorDetails> details_;
};

}  // namespace event_cpp::tls

template <>
struct std::is_error_code_enum<event_cpp::tls::Errc> : std::true_type {};
