#include "event/tls/context.hpp"

#include <openssl/err.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "tls/callbacks.hpp"
#include "tls/context_state.hpp"
#include "tls/failure.hpp"

namespace event_cpp::tls {
namespace detail {
namespace {

constexpr std::size_t kMostProtocols = std::size_t{32} << 10;  // bytes, each with its size

[[noreturn]] void refuse(const std::string& what) {
  ERR_clear_error();
  throw_openssl(std::make_error_code(std::errc::invalid_argument), what);
}

ContextPtr make_context(const SSL_METHOD* method) {
  ContextPtr context(SSL_CTX_new(method));
  if (context == nullptr) throw_openssl(Errc::internal, "cannot make a TLS context");
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Tickets are off if OpenSSL found no random numbers for keys of its own, which nobody uses here.
  SSL_CTX_clear_options(context.get(),
                        SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_ENABLE_KTLS | SSL_OP_NO_TICKET);
  // A record is written whole, from wherever it is; an idle connection holds no buffers; and what
  // is shown of a chain is what was given.
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_read_ahead(context.get(), 0);
  SSL_CTX_set_max_early_data(context.get(), 0);
  return context;
}

bool has_certificates(const char* file, const char* directory) noexcept {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  if (!error && size > 0) return true;
  const std::filesystem::directory_iterator begin(directory, error);
  return !error && begin != std::filesystem::directory_iterator();
}

// OpenSSL ignores the variable in a program that has more rights than its user.
const char* variable_or(const char* variable, const char* otherwise) noexcept {
  const char* const value = std::getenv(variable);
  return value != nullptr ? value : otherwise;
}

}  // namespace

ContextState::ContextState(const ClientOptions& options, bool verifies)
    : is_server_(false),
      verifies_(verifies),
      sessions_(options.sessions),
      context_(make_context(TLS_client_method())) {
  set_versions(options.least, options.most);
  set_ciphers(options.ciphers);
  set_protocols(options.alpn);
  if (verifies && options.system_trust) trust_system();
  if (!options.trust.empty()) trust(options.trust, "ClientOptions::trust");
  if (verifies && !options.system_trust && options.trust.empty()) {
    refuse("ClientOptions: set trust or system_trust, as no certificate is trusted");
  }
  if (!options.identity.certificates.empty() || !options.identity.key.empty()) {
    identities_.push_back(parse_identity(options.identity, "ClientOptions::identity"));
    use_first_identity();
  }
  set_client_callbacks(context_.get(), verifies);
}

ContextState::ContextState(ServerOptions options)
    : is_server_(true),
      verifies_(options.client != Ask::no),
      unknown_name_gets_first_(options.unknown_name_gets_first),
      ticket_rotation_(options.ticket_rotation),
      sessions_(0),
      context_(make_context(TLS_server_method())) {
  if (options.names.empty()) refuse("ServerOptions::names is empty: a server needs a certificate");
  set_versions(options.least, options.most);
  set_ciphers(options.ciphers);
  set_protocols(options.alpn);
  for (std::size_t i = 0; i < options.names.size(); ++i) {
    const Name& name = options.names[i];
    const std::string what = "ServerOptions::names[" + std::to_string(i) + "]";
    identities_.push_back(parse_identity(name.identity, what));
    // As a handshake will: OpenSSL may find a key too weak.
    if (!show(make_ssl().get(), identities_[i])) throw_openssl(Errc::bad_certificate, what);
    add_names(i, !name.names.empty() ? name.names : names_of(identities_[i].certificate.get()));
  }
  use_first_identity();
  ask_clients(options);
  const int tickets = std::max(options.tickets, 0);
  SSL_CTX_set_num_tickets(context_.get(), static_cast<std::size_t>(tickets));
  if (tickets == 0) SSL_CTX_set_options(context_.get(), SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_OFF);
  set_server_callbacks(context_.get(), options.client);
}

void ContextState::set_versions(Version least, Version most) {
  const auto number = [](Version version) {
    return version == Version::tls12 ? TLS1_2_VERSION : TLS1_3_VERSION;
  };
  if (least > most) refuse("the lowest version of TLS is above the highest");
  if (SSL_CTX_set_min_proto_version(context_.get(), number(least)) != 1 ||
      SSL_CTX_set_max_proto_version(context_.get(), number(most)) != 1)
    throw_openssl(Errc::internal, "cannot limit the versions of TLS");
}

void ContextState::set_ciphers(const std::string& ciphers) {
  if (ciphers.find('\0') != std::string::npos) refuse("ciphers contain a zero byte");
  std::string suites;  // of TLS 1.3
  std::string others;
  for (std::size_t at = 0; at < ciphers.size();) {
    const std::size_t end = std::min(ciphers.find(':', at), ciphers.size());
    const std::string name = ciphers.substr(at, end - at);
    std::string& list = name.starts_with("TLS_") ? suites : others;
    if (!list.empty()) list += ':';
    list += name;
    at = end + 1;
  }
  if ((!suites.empty() && SSL_CTX_set_ciphersuites(context_.get(), suites.c_str()) != 1) ||
      (!others.empty() && SSL_CTX_set_cipher_list(context_.get(), others.c_str()) != 1))
    throw_openssl(std::make_error_code(std::errc::invalid_argument), "ciphers \"" + ciphers + "\"");
}

void ContextState::set_protocols(const std::vector<std::string>& protocols) {
  for (const std::string& protocol : protocols) {
    if (protocol.empty() || protocol.size() > 255)
      refuse("ALPN: the name of a protocol must have 1 to 255 bytes");
    protocols_ += static_cast<char>(protocol.size());
    protocols_ += protocol;
  }
  // With all else that is in a ClientHello it has to fit into 65,535 bytes.
  if (protocols_.size() > kMostProtocols)
    refuse("ALPN: the names of all protocols must not exceed 32 KiB");
  if (protocols_.empty()) return;
  if (is_server_) {
    SSL_CTX_set_alpn_select_cb(context_.get(), &choose_protocol, this);
  } else if (SSL_CTX_set_alpn_protos(context_.get(),
                                     reinterpret_cast<const unsigned char*>(protocols_.data()),
                                     static_cast<unsigned>(protocols_.size())) != 0) {
    throw std::bad_alloc();
  }
}

int ContextState::choose_protocol(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* size,
                                  const unsigned char* offered, unsigned offered_size, void* self) {
  const std::string& ours = static_cast<const ContextState*>(self)->protocols_;
  unsigned char* found = nullptr;
  const int result =
      SSL_select_next_proto(&found, size, reinterpret_cast<const unsigned char*>(ours.data()),
                            static_cast<unsigned>(ours.size()), offered, offered_size);
  *chosen = found;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

void ContextState::trust(const std::string& pem, const std::string& what) {
  X509_STORE* const store = SSL_CTX_get_cert_store(context_.get());
  for (const CertificatePtr& certificate : parse_certificates(pem, what)) {
    if (X509_STORE_add_cert(store, certificate.get()) != 1) throw_openssl(Errc::bad_file, what);
  }
  // Any certificate that is trusted is, and not only a root.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context_.get()), X509_V_FLAG_PARTIAL_CHAIN);
}

void ContextState::trust_system() {
  const char* const file =
      variable_or(X509_get_default_cert_file_env(), X509_get_default_cert_file());
  const char* const directory =
      variable_or(X509_get_default_cert_dir_env(), X509_get_default_cert_dir());
  if (!has_certificates(file, directory)) {
    ERR_clear_error();
    throw_openssl(Errc::bad_file, "the system trusts nobody: neither " + std::string(file) +
                                      " nor " + directory +
                                      " has certificates (Debian: ca-certificates)");
  }
  if (SSL_CTX_set_default_verify_paths(context_.get()) != 1)
    throw_openssl(Errc::bad_file, "the certificates that the system trusts");
  ERR_clear_error();
}

void ContextState::use_first_identity() {
  const Identity& first = identities_.front();
  if (SSL_CTX_use_cert_and_key(context_.get(), first.certificate.get(), first.key.get(),
                               first.chain.get(), 1) != 1)
    throw_openssl(Errc::bad_certificate, "a certificate");
}

void ContextState::add_names(std::size_t index, const std::vector<std::string>& names) {
  for (std::string name : names) {
    if (name.ends_with('.')) name.pop_back();
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    by_name_[name].push_back(index);
  }
}

void ContextState::ask_clients(const ServerOptions& options) {
  if (options.client == Ask::no) return;
  if (options.client_trust.empty()) refuse("ServerOptions::client_trust is empty");
  trust(options.client_trust, "ServerOptions::client_trust");
  for (const CertificatePtr& certificate :
       parse_certificates(options.client_trust, "ServerOptions::client_trust")) {
    if (SSL_CTX_add_client_CA(context_.get(), certificate.get()) != 1) throw std::bad_alloc();
  }
  // A session that began under other rules does not go on under these.
  const std::string rules = std::to_string(static_cast<int>(options.client)) + options.client_trust;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(rules.data(), rules.size(), digest, &size, EVP_sha256(), nullptr) != 1 ||
      SSL_CTX_set_session_id_context(context_.get(), digest, size) != 1)
    throw_openssl(Errc::internal, "ServerOptions::client_trust");
}

const std::vector<std::size_t>* ContextState::find(std::string_view name) const {
  std::string wanted(name);
  std::transform(wanted.begin(), wanted.end(), wanted.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (wanted.ends_with('.')) wanted.pop_back();
  auto found = by_name_.find(wanted);
  const std::size_t dot = wanted.find('.');
  if (found == by_name_.end() && dot != std::string::npos) {
    wanted.replace(0, dot, 1, '*');
    found = by_name_.find(wanted);
  }
  return found != by_name_.end() ? &found->second : nullptr;
}

bool ContextState::show(SSL* ssl, const Identity& identity) noexcept {
  return SSL_use_cert_and_key(ssl, identity.certificate.get(), identity.key.get(),
                              identity.chain.get(), 1) == 1;
}

bool ContextState::show_certificate(SSL* ssl, std::string_view name) const noexcept {
  try {
    const std::vector<std::size_t>* const indices = find(name);
    if (indices == nullptr) return unknown_name_gets_first_;
    if (indices->size() == 1 && indices->front() == 0) return true;
    SSL_certs_clear(ssl);
    return std::all_of(indices->begin(), indices->end(),
                       [&](std::size_t index) { return show(ssl, identities_[index]); });
  } catch (const std::bad_alloc&) {
    return false;
  }
}

}  // namespace detail

Context::Context(std::shared_ptr<const detail::ContextState> state) noexcept
    : state_(std::move(state)) {}

Context Context::client(ClientOptions options) {
  return Context(std::make_shared<const detail::ContextState>(options, true));
}
Context Context::insecure_client(ClientOptions options) {
  return Context(std::make_shared<const detail::ContextState>(options, false));
}
Context Context::client() { return client(ClientOptions()); }
Context Context::insecure_client() { return insecure_client(ClientOptions()); }
Context Context::server(ServerOptions options) {
  return Context(std::make_shared<const detail::ContextState>(std::move(options)));
}

}  // namespace event_cpp::tls
