#include "event/tls/error.hpp"

#include <string>
#include <utility>

#include "tls/failure.hpp"

namespace event_cpp::tls {
namespace {

const char* text_of(Errc code) noexcept {
  switch (code) {
    case Errc::none:
      return "no error";
    case Errc::certificate_expired:
      return "certificate has expired";
    case Errc::certificate_not_yet_valid:
      return "certificate is not valid yet";
    case Errc::wrong_host:
      return "certificate is for another host";
    case Errc::self_signed:
      return "certificate is self-signed and not trusted";
    case Errc::unknown_issuer:
      return "issuer of the certificate is not trusted";
    case Errc::incomplete_chain:
      return "no trusted authority has signed the certificate, and the peer sent no other "
             "certificate with it";
    case Errc::wrong_purpose:
      return "certificate is for another purpose";
    case Errc::revoked:
      return "certificate was revoked";
    case Errc::bad_certificate:
      return "certificate is not acceptable";
    case Errc::certificate_required:
      return "a certificate is required";
    case Errc::protocol_version:
      return "no version of TLS in common";
    case Errc::no_shared_cipher:
      return "no cipher in common";
    case Errc::no_application_protocol:
      return "no application protocol in common (ALPN)";
    case Errc::unknown_name:
      return "no certificate for the name that was asked for (SNI)";
    case Errc::not_tls:
      return "the peer does not speak TLS";
    case Errc::plain_http:
      return "the client speaks HTTP without TLS";
    case Errc::peer_alert:
      return "the peer has reported a failure";
    case Errc::bad_record:
      return "bytes that are damaged, forged, or against the protocol";
    case Errc::key_mismatch:
      return "private key does not belong to the certificate";
    case Errc::bad_file:
      return "certificate or key cannot be read";
    case Errc::renegotiation:
      return "renegotiation is not supported";
    case Errc::too_many_updates:
      return "the peer changes its keys too often";
    case Errc::internal:
      return "failure inside OpenSSL";
  }
  return "unknown error";
}

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "event::tls"; }
  std::string message(int code) const override { return text_of(static_cast<Errc>(code)); }
};

}  // namespace

const std::error_category& category() noexcept {
  static const Category instance;
  return instance;
}

std::error_code make_error_code(Errc code) noexcept { return {static_cast<int>(code), category()}; }

Error::Error(std::error_code code, std::shared_ptr<const detail::ErrorDetails> details)
    : std::system_error(code), details_(std::move(details)) {}
Error::~Error() = default;

const char* Error::what() const noexcept {
  return details_ != nullptr ? details_->what.c_str() : std::system_error::what();
}
std::string_view Error::host() const noexcept {
  return details_ != nullptr ? std::string_view(details_->host) : std::string_view();
}
std::string_view Error::subject() const noexcept {
  return details_ != nullptr ? std::string_view(details_->subject) : std::string_view();
}
int Error::depth() const noexcept { return details_ != nullptr ? details_->depth : -1; }
int Error::alert() const noexcept { return details_ != nullptr ? details_->alert : -1; }
bool Error::by_peer() const noexcept { return details_ != nullptr && details_->by_peer; }

}  // namespace event_cpp::tls
