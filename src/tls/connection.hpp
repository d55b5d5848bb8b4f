// Connection: what a tls::Stream is, at a place that does not move.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "event/event_class.hpp"
#include "event/net/address.hpp"
#include "event/tls/stream.hpp"
#include "tls/context_state.hpp"
#include "tls/failure.hpp"
#include "tls/host.hpp"
#include "tls/server_state.hpp"
#include "tls/wire.hpp"

namespace event_cpp::tls::detail {

// The session in it, if it is of this context; else null.
SSL_SESSION* session_of(const Session& session, const ContextState& context) noexcept;

class Connection;

// Waits for the stream below of a connection, of which it is a part, and knows who waits above.
template <net::Want kWant>
class Below : public net::Waiter {
 public:
  // Of Waiter.
  void ready() override;
  void dropped() noexcept override;

  void wait() noexcept;
  bool unwait() noexcept;  // returns whether it waited

  net::Waiter* above = nullptr;

 protected:
  ~Below() = default;

 private:
  Connection& connection() noexcept;
};

// OpenSSL between a stream above and one below. It takes a step: lets OpenSSL go on with what has
// come, and sends what that gave. What is then unsent goes out as the stream below takes it; until
// that is done, nothing more is written.
//
// Who waits above waits for the same direction below, or for what is unsent; if something is there
// already, for its turn.
class Connection final : private Below<net::Want::read>,
                         private Below<net::Want::write>,
                         private Wire {
 public:
  Connection(std::unique_ptr<net::Stream> below, std::shared_ptr<const ContextState> context,
             const Limits& limits);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  static Stream to_stream(std::unique_ptr<Connection> connection) noexcept {
    return Stream(std::move(connection));
  }

  // Before the handshake. Errors: throw std::bad_alloc.
  void be_client(Host host, const std::string& session_key, SSL_SESSION* session);
  void be_server(std::shared_ptr<ServerState> server);
  // A step of it. Returns 0 when it is done, or an error; kWouldBlock: wait for wanted().
  net::Io handshake() noexcept;
  net::Want wanted() const noexcept {
    return read_wants_write_ ? net::Want::write : net::Want::read;
  }
  // After the handshake: a session that went on has not been checked by OpenSSL.
  bool verify_again() noexcept;
  Error error(net::Io io) const;
  // 0: none, or what read() and write() return from now on.
  net::Io failure() const noexcept { return failed_; }

  // As those of net::Stream.
  net::Io read(net::Room room, bool lenient_end) noexcept;
  net::Io write(net::Bytes bytes) noexcept;
  net::Io write(std::span<const net::Bytes> pieces) noexcept;
  net::Io shutdown() noexcept;
  void wait(net::Want want, net::Waiter& waiter) noexcept;
  net::Waiter* unwait(net::Want want) noexcept;
  bool may(net::Want want) noexcept;
  bool is_awaited() const noexcept {
    return Below<net::Want::read>::above != nullptr || Below<net::Want::write>::above != nullptr;
  }
  void tear() noexcept { torn_ = true; }
  void idle_timeout(AnyDuration limit);
  void close() noexcept;
  void reset() noexcept;

  // Before closing after a handshake that has failed: with unread bytes left, the kernel would send
  // a reset, and the peer might miss what was said.
  void refuse() noexcept;
  net::Stream& below() const noexcept { return *below_; }
  SSL* ssl() const noexcept { return ssl_.get(); }
  const Peer& peer();
  std::string_view why() const noexcept;
  void update_keys(bool both);
  Session session() const;

  // From OpenSSL, by its callbacks.
  void note_fault(X509* certificate, int depth) noexcept;
  void note_message() noexcept;  // of the peer
  void note_request() noexcept;  // to the peer, for new keys
  void keep(SSL_SESSION* session) noexcept;
  bool show_certificate(std::string_view name) noexcept;
  int prepare_ticket(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                     EVP_MAC_CTX* mac, bool makes) noexcept;

 private:
  // What a server needs until it has shaken hands.
  struct ServerSide {
    std::shared_ptr<ServerState> state;
    net::Address client;
  };
  struct ClientSide {
    Host host;
    std::string session_key;
  };

  friend class Below<net::Want::read>;
  friend class Below<net::Want::write>;
  friend class Wire;

  Below<net::Want::read>& reader() noexcept { return *this; }
  Below<net::Want::write>& writer() noexcept { return *this; }
  Wire& wire() noexcept { return *this; }
  const Wire& wire() const noexcept { return *this; }
  net::Waiter*& waiter(net::Want want) noexcept {
    return want == net::Want::read ? reader().above : writer().above;
  }
  bool can(net::Want want) const noexcept;
  void wait_below(net::Want want) noexcept;
  void wake();
  void below_is_ready(net::Want want);
  void below_is_closed() noexcept;
  void drop_waiters() noexcept;
  template <class F>
  void end(F close_below) noexcept;
  void flush() noexcept;
  void wake_later() noexcept;
  net::Io outcome(int result) noexcept;
  net::Io fail(Failure failure) noexcept;
  net::Io catch_up() noexcept;
  net::Io encrypt(net::Bytes bytes) noexcept;
  net::Io write_failed() noexcept;
  void count(std::size_t received) noexcept;
  bool is_ours() const noexcept;
  // What is wrong with a certificate of the peer, if that was noted.
  const Fault& fault() const noexcept;
  // In the texts of errors.
  std::string peer_name() const noexcept;

  bool established_ = false;  // these are in the padding of Wire
  bool ended_ = false;        // by the peer, in order
  bool shut_ = false;
  bool torn_ = false;
  bool refused_name_ = false;
  bool writer_first_ = false;  // of two that are due
  std::unique_ptr<net::Stream> below_;
  std::shared_ptr<const ContextState> context_;
  std::unique_ptr<const ServerSide> server_;  // null after the handshake, and of a client
  std::unique_ptr<const ClientSide> client_;  // null: of a server
  SslPtr ssl_;
  Event turn_;  // calls who waits for what is there already
  std::unique_ptr<Peer> peer_;
  std::shared_ptr<const ErrorDetails> failure_;  // before it has failed: a certificate at fault
  // Results: see net::Io.
  int failed_ = 0;        // for good, in both directions
  int write_failed_ = 0;  // of the stream below
  // How many messages besides data the peer may still send, until `received_` is a MiB.
  int messages_left_;
  const int most_messages_;
  std::uint32_t received_ = 0;
  const pid_t process_;
  std::int8_t new_keys_ = SSL_KEY_UPDATE_NONE;  // that wait until OpenSSL has sent others
  std::int8_t budget_ = kBudget;                // successes before others have a turn
  std::array<bool, 2> waits_{};                 // below, for each direction
  bool read_wants_write_ = false;
  bool write_wants_read_ = false;
  bool closed_ = false;
  bool has_idle_timeout_ = false;

  static constexpr std::int8_t kBudget = 7;
};

static_assert(sizeof(void*) != 8 || sizeof(Connection) == 240);

}  // namespace event_cpp::tls::detail
