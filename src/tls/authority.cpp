#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/rand.h>

#include <ctime>
#include <utility>

#include "event/tls/test.hpp"
#include "tls/failure.hpp"
#include "tls/pem.hpp"

namespace event_cpp::tls::test {
namespace {

using detail::CertificatePtr;
using detail::KeyPtr;
using detail::or_bad_alloc;

void must(bool done) {
  if (!done) detail::throw_openssl(Errc::internal, "cannot make a certificate for tests");
}

KeyPtr make_key() {
  KeyPtr key(EVP_EC_gen("P-256"));
  must(key != nullptr);
  return key;
}

// A certificate with its key.
struct Signer {
  CertificatePtr certificate;
  KeyPtr key;
};

// What is in one.
struct Request {
  std::vector<std::string> names;
  Duration starts{};
  Duration lasts = std::chrono::hours(1);
  const char* basic = "critical,CA:FALSE";
  const char* usage = "critical,digitalSignature";
  const char* purpose = nullptr;
};

void add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  must(extension != nullptr);
  const int added = X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  must(added == 1);
}

bool is_address(const std::string& name) {
  in6_addr room{};
  return ::inet_pton(AF_INET, name.c_str(), &room) == 1 ||
         ::inet_pton(AF_INET6, name.c_str(), &room) == 1;
}

void set_times(X509* certificate, const Request& request) {
  const std::time_t now = std::time(nullptr);
  const auto seconds = [](Duration time) {
    return static_cast<long>(std::chrono::floor<std::chrono::seconds>(time).count());
  };
  // A minute earlier than now, for clocks that differ.
  const long begin = request.starts == Duration::zero() ? -60 : seconds(request.starts);
  const long end = seconds(request.starts) + seconds(request.lasts);
  std::time_t from = now;
  must(X509_time_adj_ex(X509_getm_notBefore(certificate), 0, begin, &from) != nullptr);
  must(X509_time_adj_ex(X509_getm_notAfter(certificate), 0, end, &from) != nullptr);
}

void set_serial(X509* certificate) {
  std::uint64_t serial = 0;
  must(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1);
  must(ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) == 1);
}

// Signed by `issuer`, or by itself.
Signer sign(const Request& request, const Signer* issuer) {
  Signer made{CertificatePtr(or_bad_alloc(X509_new())), make_key()};
  X509* const certificate = made.certificate.get();
  const Signer& by = issuer != nullptr ? *issuer : made;
  must(X509_set_version(certificate, X509_VERSION_3) == 1);
  set_serial(certificate);
  set_times(certificate, request);
  X509_NAME* const name = X509_get_subject_name(certificate);
  const std::string common = request.names.empty() ? "nobody" : request.names.front();
  must(X509_NAME_add_entry_by_NID(
           name, NID_commonName, MBSTRING_UTF8,
           reinterpret_cast<const unsigned char*>(common.data()),
           static_cast<int>(std::min<std::size_t>(common.size(), ub_common_name)), -1, 0) == 1);
  must(X509_set_issuer_name(certificate, X509_get_subject_name(by.certificate.get())) == 1);
  must(X509_set_pubkey(certificate, made.key.get()) == 1);
  X509* const signer = by.certificate.get();
  add_extension(certificate, signer, NID_basic_constraints, request.basic);
  add_extension(certificate, signer, NID_key_usage, request.usage);
  add_extension(certificate, signer, NID_subject_key_identifier, "hash");
  // Tells authorities of the same name apart.
  add_extension(certificate, signer, NID_authority_key_identifier, "keyid:always");
  if (request.purpose != nullptr)
    add_extension(certificate, signer, NID_ext_key_usage, request.purpose);
  std::string names;
  for (const std::string& each : request.names) {
    if (!names.empty()) names += ',';
    names += (is_address(each) ? "IP:" : "DNS:") + each;
  }
  if (request.purpose != nullptr && !names.empty())
    add_extension(certificate, signer, NID_subject_alt_name, names);
  must(X509_sign(certificate, by.key.get(), EVP_sha256()) > 0);
  return made;
}

Signer make_authority(const char* name, const Signer* issuer) {
  Request request;
  request.names = {name};
  request.lasts = std::chrono::hours(24 * 365);
  request.starts = std::chrono::hours(-24 * 365);
  request.lasts *= 2;
  request.basic = "critical,CA:TRUE";
  request.usage = "critical,keyCertSign,cRLSign";
  return sign(request, issuer);
}

Request request_for(std::vector<std::string> names) {
  Request request;
  request.names = std::move(names);
  request.purpose = "serverAuth,clientAuth";
  return request;
}

Pem to_pem(const Signer& signer) {
  return {detail::to_pem(signer.certificate.get()), detail::to_pem(signer.key.get())};
}

}  // namespace

struct Authority::State {
  Signer root;
  Signer between;
};

Authority::Authority() {
  Signer root = make_authority("event test root", nullptr);
  Signer between = make_authority("event test authority", &root);
  state_ = std::make_shared<const State>(State{std::move(root), std::move(between)});
}

std::string Authority::root_pem() const { return detail::to_pem(state_->root.certificate.get()); }

Context Authority::trusting() const {
  ClientOptions options;
  options.trust = root_pem();
  options.system_trust = false;
  return Context::client(std::move(options));
}

Pem Authority::issue(std::vector<std::string> names, Duration starts, Duration lasts) const {
  Request request = request_for(std::move(names));
  request.starts = starts;
  request.lasts = lasts;
  Pem pem = to_pem(sign(request, &state_->between));
  pem.certificates += detail::to_pem(state_->between.certificate.get());
  return pem;
}

Pem Authority::without_chain(std::vector<std::string> names) const {
  return to_pem(sign(request_for(std::move(names)), &state_->between));
}

Pem Authority::wrong_purpose(std::vector<std::string> names) const {
  Request request = request_for(std::move(names));
  request.purpose = "codeSigning";
  Pem pem = to_pem(sign(request, &state_->between));
  pem.certificates += detail::to_pem(state_->between.certificate.get());
  return pem;
}

Pem Authority::self_signed(std::vector<std::string> names) {
  return to_pem(sign(request_for(std::move(names)), nullptr));
}

}  // namespace event_cpp::tls::test
