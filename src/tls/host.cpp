#include "tls/host.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

#include "net/printable.hpp"
#include "tls/failure.hpp"

namespace event_cpp::tls::detail {
namespace {

// A part of a label must not match by a wildcard, and the common name counts for nothing.
constexpr unsigned kHow =
    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;

bool is_address(const std::string& text) noexcept {
  in6_addr room{};
  return ::inet_pton(AF_INET, text.c_str(), &room) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), &room) == 1;
}

[[noreturn]] void refuse(std::string_view host, const char* why) {
  const std::error_code code = std::make_error_code(std::errc::invalid_argument);
  auto details = std::make_shared<ErrorDetails>();
  details->host = host;
  details->what = "\"" + net::detail::printable(host) + "\" is not a host: " + why;
  throw Error(code, std::move(details));
}

// The labels of a name are not empty, and not too long. OpenSSL takes a dot at the start for any
// name before it.
bool has_good_labels(std::string_view name) noexcept {
  constexpr std::size_t kLongest = 63;
  for (std::size_t size = 0; const char c : name) {
    size = c == '.' ? 0 : size + 1;
    if (size > kLongest) return false;
  }
  return !name.starts_with('.') && !name.ends_with('.') &&
         name.find("..") == std::string_view::npos;
}

char to_lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

}  // namespace

Host::Host(std::string_view text) : text_(text) {
  if (text_.starts_with('[') && text_.ends_with(']')) text_ = text_.substr(1, text_.size() - 2);
  if (text_.find(':') != std::string::npos) text_ = text_.substr(0, text_.find('%'));
  if (text_.ends_with('.')) text_.pop_back();
  is_address_ = detail::is_address(text_);
  if (text_.empty()) refuse(text, "it is empty");
  for (const char c : text_) {
    if (static_cast<unsigned char>(c) >= 0x80)
      refuse(text, "write it in its ASCII form, \"xn--...\"");
    if (c <= ' ' || c == 0x7f || c == '/' || c == '*')
      refuse(text, "it contains a character that no host may have");
  }
  if (!is_address_ && text_.find(':') != std::string::npos)
    refuse(text, "give the port separately");
  if (!is_address_ && text_.size() > 253) refuse(text, "it is too long");
  if (!is_address_ && !has_good_labels(text_))
    refuse(text, "each part between dots must have 1 to 63 characters");
  std::transform(text_.begin(), text_.end(), text_.begin(), to_lower);
}

void Host::ask(SSL* ssl) const {
  if (empty() || is_address_) return;
  if (SSL_set_tlsext_host_name(ssl, text_.c_str()) != 1) throw std::bad_alloc();
}

void Host::demand(SSL* ssl) const {
  X509_VERIFY_PARAM* const param = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(param, kHow);
  const int done = is_address_ ? X509_VERIFY_PARAM_set1_ip_asc(param, text_.c_str())
                               : X509_VERIFY_PARAM_set1_host(param, text_.data(), text_.size());
  if (done != 1) throw std::bad_alloc();
}

bool Host::matches(X509* certificate) const noexcept {
  return (is_address_
              ? X509_check_ip_asc(certificate, text_.c_str(), 0)
              : X509_check_host(certificate, text_.data(), text_.size(), kHow, nullptr)) == 1;
}

}  // namespace event_cpp::tls::detail
