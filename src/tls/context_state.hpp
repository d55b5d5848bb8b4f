// What a Context holds.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "event/tls/context.hpp"
#include "tls/pem.hpp"
#include "tls/sessions.hpp"

namespace event_cpp::tls::detail {

// One SSL_CTX, which is not changed any more. Thread-safety: any thread.
class ContextState {
 public:
  ContextState(const ClientOptions& options, bool verifies);
  explicit ContextState(ServerOptions options);

  static const std::shared_ptr<const ContextState>& of(const Context& context) noexcept {
    return context.state_;
  }

  // Errors: throws std::bad_alloc.
  SslPtr make_ssl() const { return SslPtr(or_bad_alloc(SSL_new(context_.get()))); }
  bool is_server() const noexcept { return is_server_; }
  bool verifies() const noexcept { return verifies_; }
  Duration ticket_rotation() const noexcept { return ticket_rotation_; }
  // Of a client; locks by itself.
  Sessions& sessions() const noexcept { return sessions_; }

  // Has the connection show the certificate for the name that the client has asked for. Returns
  // whether there is one.
  bool show_certificate(SSL* ssl, std::string_view name) const noexcept;

 private:
  static int choose_protocol(SSL* ssl, const unsigned char** chosen, unsigned char* size,
                             const unsigned char* offered, unsigned offered_size, void* self);

  static bool show(SSL* ssl, const Identity& identity) noexcept;
  void set_versions(Version least, Version most);
  void set_ciphers(const std::string& ciphers);
  void set_protocols(const std::vector<std::string>& protocols);
  void trust(const std::string& pem, const std::string& what);
  void trust_system();
  void use_first_identity();
  void add_names(std::size_t index, const std::vector<std::string>& names);
  void ask_clients(const ServerOptions& options);
  const std::vector<std::size_t>* find(std::string_view name) const;

  const bool is_server_;
  const bool verifies_;
  const bool unknown_name_gets_first_ = true;
  const Duration ticket_rotation_{};
  std::string protocols_;             // of ALPN, as they are sent
  std::vector<Identity> identities_;  // of a server
  // By name, or "*.example.com".
  std::map<std::string, std::vector<std::size_t>, std::less<>> by_name_;
  mutable Sessions sessions_;
  ContextPtr context_;  // last: its callbacks use the rest
};

}  // namespace event_cpp::tls::detail
