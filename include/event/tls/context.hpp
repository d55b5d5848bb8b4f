// Context: certificates, trust and limits that connections share.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "event/detail/export.hpp"
#include "event/time.hpp"

namespace event_cpp::tls {

enum class Version { tls12, tls13 };

// A certificate chain and its private key, as text in the PEM format. An encrypted key is refused
// (Errc::bad_file): there is no way to give its password.
struct Pem {
  std::string certificates;  // the certificate itself first, then the intermediate ones
  std::string key;

  // Reads two files; the content is checked when a Context is made. Blocks. Errors: throws Error,
  // Errc::bad_file if a file cannot be read.
  EVENT_API static Pem files(const std::filesystem::path& certificates,
                             const std::filesystem::path& key);
};

namespace detail {
class ContextState;
class ServerState;
}  // namespace detail

// A TLS session, that a client can resume: a later connection to the same host has a shorter
// handshake. Empty if there is none. connect() and client() store and reuse sessions by themselves.
// A resumed connection relies on the certificate check of the first one. So a session is used only
// with the context that it came from, and only until the first certificate of the verified chain
// expires, that of the root included. Otherwise a full handshake is done.
struct Session {
  std::shared_ptr<const void> state;
};

struct ClientOptions {
  std::string trust;         // trusted certificates, in the PEM format; not only roots
  bool system_trust = true;  // trust the system's certificates as well
  // ALPN protocols to offer, best first: "h2", "http/1.1". Each has 1 to 255 bytes. All of them
  // have at most 32 KiB, counting one more byte for each.
  std::vector<std::string> alpn;
  Pem identity;  // the client's certificate, for servers that ask for one; empty: none
  Version least = Version::tls12, most = Version::tls13;
  // Sessions that are stored for resumption, of all hosts, at most 8 for each. 0: none.
  std::size_t sessions = 256;
  std::string ciphers;  // as in openssl-ciphers(1); names TLS_... are for TLS 1.3. Empty: OpenSSL's
};

// A certificate, and the names (SNI) for which a server presents it. "*.example.com" stands for all
// names with one more label. Empty `names`: the DNS names in the certificate.
struct Name {
  std::vector<std::string> names;
  Pem identity;
};

// Whether a server asks clients for a certificate.
enum class Ask { no, optional, required };

struct ServerOptions {
  std::vector<Name> names;  // at least one
  // A client that asks for an unknown name (SNI) gets the first certificate if this is true, and is
  // refused (Errc::unknown_name) otherwise. A client that asks for no name always gets the first.
  bool unknown_name_gets_first = true;
  // ALPN protocols, best first. A client that offers only others is refused. A client that offers
  // none is accepted.
  std::vector<std::string> alpn;
  Ask client = Ask::no;
  // Certificates of the authorities that issue the clients' certificates, in the PEM format.
  // Required unless `client` is Ask::no. A session is not resumed under another `client` or
  // `client_trust`, nor once a certificate of the client's chain has expired: then a full handshake
  // checks the client's certificate again.
  std::string client_trust;
  Version least = Version::tls12, most = Version::tls13;
  int tickets = 2;  // session tickets for each TLS 1.3 connection; TLS 1.2: one at most. 0: none
  // A ticket key encrypts for this time, and then only decrypts for the same time.
  AnyDuration ticket_rotation = std::chrono::hours(12);
  std::string ciphers;  // as ClientOptions::ciphers
};

// The settings of TLS connections: immutable, shared by connections of all threads. Copies refer to
// the same object. Make one and keep it: making it parses the certificates (tens of milliseconds
// for those of the system), and it stores a client's sessions.
//
// Renegotiation, compression, early data (0-RTT) and versions before TLS 1.2 are not supported.
// Thread-safety: any thread. Errors: its functions throw std::bad_alloc, and Error with the code
//   - Errc::bad_file: a certificate or key cannot be parsed
//   - Errc::key_mismatch: the key is not that of the certificate
//   - Errc::bad_certificate: OpenSSL refuses to use the certificate, for example for a weak key
//   - std::errc::invalid_argument: any other bad option
class EVENT_API Context {
 public:
  // For clients. Checks the certificate and the name of the server. Errors: also Errc::bad_file if
  // the system has no trusted certificates, as in a container without the package ca-certificates;
  // std::errc::invalid_argument if `system_trust` is off and `trust` is empty.
  static Context client(ClientOptions options);
  static Context
  client();  // no default argument: g++ 12 destroys one in a co_await expression twice
  // For servers. Errors: also std::errc::invalid_argument without `names`.
  static Context server(ServerOptions options);
  // Dangerous: checks neither certificate nor name, so that a man in the middle can read and change
  // everything. For tests and diagnosis. To trust one authority or one certificate, set
  // ClientOptions::trust instead.
  static Context insecure_client(ClientOptions options);
  static Context insecure_client();

 private:
  friend class Stream;
  friend class Server;
  friend class detail::ServerState;
  friend class detail::ContextState;
  explicit Context(std::shared_ptr<const detail::ContextState> state) noexcept;

  std::shared_ptr<const detail::ContextState> state_;
};

}  // namespace event_cpp::tls
