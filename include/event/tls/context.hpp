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

// A certificate, those of the authorities between it and a root, and its private key, as text in
// the PEM format. A key that is encrypted is refused: nobody is asked for its password.
struct Pem {
  std::string certificates;  // its own first
  std::string key;

  // Reads two files. Errors: throws Error, Errc::bad_file.
  EVENT_API static Pem files(const std::filesystem::path& certificates,
                             const std::filesystem::path& key);
};

namespace detail {
class ContextState;
class ServerState;
}  // namespace detail

// What a client needs to begin a later connection to the same host in fewer steps, with the same
// context. Empty if there is none. connect() and client() keep sessions by themselves. Such a
// connection is trusted because the first one was: a session is used under the context that it came
// from, whose trust does not change, and until the first certificate of the chain that was verified
// expires, that of the authority included. Else the handshake is a whole one.
struct Session {
  std::shared_ptr<const void> state;
};

struct ClientOptions {
  std::string trust;         // certificates that are trusted, in the PEM format
  bool system_trust = true;  // trust those of the system as well
  // Protocols that are offered, best first: "h2", "http/1.1". Each has 255 bytes at most, and all
  // of them 32 KiB, with a byte more for each.
  std::vector<std::string> alpn;
  Pem identity;  // for servers that ask for one
  Version least = Version::tls12, most = Version::tls13;
  std::size_t sessions = 256;  // that are kept for later connections; 0: none
  std::string ciphers;  // as in openssl-ciphers(1); names TLS_... are for TLS 1.3. Empty: OpenSSL's
};

// A certificate, and for which names a server shows it. "*.example.com" is for all names with one
// label more. Empty: those in the certificate.
struct Name {
  std::vector<std::string> names;
  Pem identity;
};

// Whether a server asks clients for a certificate.
enum class Ask { no, optional, required };

struct ServerOptions {
  std::vector<Name> names;  // at least one
  // For clients that name nobody, or somebody else. Those that name somebody else are refused
  // without this.
  bool unknown_name_gets_first = true;
  // Protocols, best first. A client that offers only others is refused; one that offers none is
  // not.
  std::vector<std::string> alpn;
  Ask client = Ask::no;
  // Who signs certificates of clients, in the PEM format. With another `client` or `client_trust`
  // than the one that a client's session began under, the client is checked anew; also once a
  // certificate of its chain has expired.
  std::string client_trust;
  Version least = Version::tls12, most = Version::tls13;
  int tickets = 2;  // that a client gets for later connections; 0: none
  Duration ticket_rotation =
      std::chrono::hours(12);  // the key of tickets serves so long, and once more
  std::string ciphers;         // as those of a client
};

// The settings of connections: immutable, so that connections of any thread share one. Copies refer
// to the same. Make one and keep it: certificates are parsed here, those of the system take tens of
// milliseconds, and a client's sessions are kept here.
//
// Neither renegotiation, nor compression, nor early data (0-RTT), nor versions before TLS 1.2 are
// supported. Thread-safety: any thread. Errors: its functions throw Error: Errc::bad_file,
// Errc::key_mismatch; Errc::bad_certificate for one that OpenSSL does not show, as its key is too
// weak; std::errc::invalid_argument; std::bad_alloc.
class EVENT_API Context {
 public:
  // Checks the certificate and the name of the server. Errors: also Errc::bad_file if the system
  // has no certificates to trust, as a container without the package ca-certificates, and
  // std::errc::invalid_argument if `system_trust` is off and `trust` empty.
  static Context client(ClientOptions options);
  static Context
  client();  // no default argument: g++ 12 destroys one in a co_await expression twice
  static Context server(ServerOptions options);
  // Checks neither, so that anybody in between can read and change everything. For tests and
  // diagnosis. To trust one authority, or one certificate, see ClientOptions::trust.
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
