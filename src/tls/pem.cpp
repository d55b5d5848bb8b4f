#include "tls/pem.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <utility>

#include "tls/failure.hpp"

namespace event_cpp::tls {

namespace {

// A stream buffer throws if it cannot read, as from a directory. std::istream::read() catches that.
std::string read_file(const std::filesystem::path& path) {
  std::string text;
  std::ifstream file;
  if (path.native().find('\0') == std::string::npos) file.open(path, std::ios::binary);
  std::array<char, 4096> part{};
  while (file.read(part.data(), part.size()) || file.gcount() > 0) {
    text.append(part.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (!file.is_open() || file.bad()) detail::throw_openssl(Errc::bad_file, path.string());
  return text;
}

}  // namespace

Pem Pem::files(const std::filesystem::path& certificates, const std::filesystem::path& key) {
  return {read_file(certificates), read_file(key)};
}

namespace detail {
namespace {

// For a key that is encrypted: without this OpenSSL asks at the terminal.
int no_password(char* /*room*/, int /*size*/, int /*writes*/, void* /*data*/) { return -1; }

BioPtr reader_of(const std::string& text) {
  return BioPtr(or_bad_alloc(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))));
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

std::vector<CertificatePtr> parse_certificates(const std::string& text, const std::string& what) {
  ERR_clear_error();
  const BioPtr reader = reader_of(text);
  std::vector<CertificatePtr> certificates;
  for (;;) {
    CertificatePtr next(PEM_read_bio_X509(reader.get(), nullptr, &no_password, nullptr));
    if (next == nullptr) break;
    certificates.push_back(std::move(next));
  }
  const unsigned long error = ERR_peek_last_error();
  const bool at_end =
      ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (certificates.empty() || !at_end) throw_openssl(Errc::bad_file, what);
  ERR_clear_error();
  return certificates;
}

Identity parse_identity(const Pem& pem, const std::string& what) {
  std::vector<CertificatePtr> certificates = parse_certificates(pem.certificates, what);
  Identity identity;
  if (certificates.size() > 1) identity.chain.reset(or_bad_alloc(sk_X509_new_null()));
  identity.certificate = std::move(certificates.front());
  for (std::size_t i = 1; i < certificates.size(); ++i) {
    if (sk_X509_push(identity.chain.get(), certificates[i].get()) <= 0) throw std::bad_alloc();
    static_cast<void>(certificates[i].release());
  }
  const BioPtr reader = reader_of(pem.key);
  identity.key.reset(PEM_read_bio_PrivateKey(reader.get(), nullptr, &no_password, nullptr));
  if (identity.key == nullptr) throw_openssl(Errc::bad_file, what + ", private key");
  if (X509_check_private_key(identity.certificate.get(), identity.key.get()) != 1)
    throw_openssl(Errc::key_mismatch, what);
  return identity;
}

std::vector<std::string> names_of(const X509* certificate) {
  std::vector<std::string> names;
  using Names = std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>>;
  const Names all(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(all.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(all.get(), i);
    if (name->type != GEN_DNS) continue;
    const ASN1_IA5STRING* const text = name->d.dNSName;
    std::string& added = names.emplace_back(
        reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)), ASN1_STRING_length(text));
    std::transform(added.begin(), added.end(), added.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  }
  return names;
}

std::string to_pem(X509* certificate) {
  const BioPtr text(or_bad_alloc(BIO_new(BIO_s_mem())));
  if (PEM_write_bio_X509(text.get(), certificate) != 1) throw std::bad_alloc();
  return text_of(text.get());
}

std::string to_pem(EVP_PKEY* key) {
  const BioPtr text(or_bad_alloc(BIO_new(BIO_s_mem())));
  if (PEM_write_bio_PrivateKey(text.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    throw std::bad_alloc();
  return text_of(text.get());
}

}  // namespace detail
}  // namespace event_cpp::tls
