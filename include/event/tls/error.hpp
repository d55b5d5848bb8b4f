// Errors of TLS: Errc, and the exception Error with its details.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <system_error>

#include "event/detail/export.hpp"
#include "event/fwd.hpp"

namespace event_cpp::tls {

// Why a handshake or connection failed. Error::by_peer() tells whether the peer has reported it (by
// an alert) or this side has found it.
enum class Errc {
  none,
  certificate_expired,
  certificate_not_yet_valid,
  wrong_host,      // the certificate is for other names
  self_signed,     // the certificate is self-signed, or the chain ends in a root, and not trusted
  unknown_issuer,  // the issuer of the certificate is not trusted
  // The peer has sent only its own certificate, whose issuer is not trusted. Most likely the server
  // is configured without the intermediate certificate.
  incomplete_chain,
  wrong_purpose,            // extended key usage does not fit: a server with a client's certificate
  revoked,                  // reported by the peer; this side checks no revocation
  bad_certificate,          // anything else that is wrong with a certificate
  certificate_required,     // the client has sent no certificate
  protocol_version,         // no version in common
  no_shared_cipher,         // no cipher, group or signature algorithm in common
  no_application_protocol,  // no protocol of ALPN in common
  unknown_name,             // the server has no certificate for the name (SNI)
  not_tls,                  // the peer does not speak TLS
  plain_http,               // a client has sent HTTP without TLS
  peer_alert,               // an alert that has no code here: see Error::alert()
  bad_record,               // bytes that are damaged, forged, or violate the protocol
  key_mismatch,             // the private key does not belong to the certificate
  bad_file,                 // a certificate or key cannot be read or parsed
  renegotiation,            // the peer has asked for renegotiation, which is not supported
  too_many_updates,         // the peer has sent more key updates than Limits::updates
  internal                  // an internal error of OpenSSL
};

// The category of these codes, named "event::tls".
EVENT_API const std::error_category& category() noexcept;
EVENT_API std::error_code make_error_code(Errc code) noexcept;

namespace detail {
struct ErrorDetails;
}  // namespace detail

// Thrown by connect(), client(), accept() and Context, and by the operations of a Stream for a code
// of category(). A handshake may also fail with a code of another category: ECONNRESET or
// event::Errc::truncated if the connection was lost. what() names the host and the certificate:
//   example.com: certificate has expired (CN=example.com, depth 0)
struct EVENT_API Error : std::system_error {
  using std::system_error::system_error;
  Error(std::error_code code, std::shared_ptr<const detail::ErrorDetails> details);
  Error(const Error&) = default;
  Error& operator=(const Error&) = default;
  ~Error() override;

  const char* what() const noexcept override;
  // At a client: the host to which it connects. At a server: the address of the client, as
  // 192.0.2.7:4711, if the stream below is a SocketStream over IP. Otherwise empty.
  std::string_view host() const noexcept;
  // The subject of the certificate at fault, in the format of RFC 2253: "CN=example.com,O=Example".
  // Empty if no certificate is at fault.
  std::string_view subject() const noexcept;
  // The position of that certificate in the chain: 0 is the peer's own, 1 that of its issuer. -1 if
  // no certificate is at fault.
  int depth() const noexcept;
  // The number of the alert that the peer has sent: see RFC 8446 section 6. -1 if it has sent none.
  int alert() const noexcept;
  // Whether the peer has reported the failure by an alert. If not, this side has found it.
  bool by_peer() const noexcept;

 private:
  std::shared_ptr<const detail::ErrorDetails> details_;
};

}  // namespace event_cpp::tls

template <>
struct std::is_error_code_enum<event_cpp::tls::Errc> : std::true_type {};
