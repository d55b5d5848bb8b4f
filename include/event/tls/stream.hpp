// tls::Stream: a connection that is encrypted, and whose peer is known.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "event/co/task.hpp"
#include "event/net/stream.hpp"
#include "event/tls/context.hpp"
#include "event/tls/error.hpp"

namespace event_cpp::tls {

// How long, and with how many messages, a peer can keep a TLS connection busy. (net::Limits: how
// many bytes it can make a Buffered hold.)
struct Limits {
  Duration handshake = std::chrono::seconds(10);  // for all of it, however slowly the peer sends
  Duration close = std::chrono::seconds(2);       // of close() as serve() calls it
  // Of keys, and other messages between data, that a peer may send in a MiB. With TLS 1.3 the
  // tickets of a server are among these, with TLS 1.2 requests for another handshake, which are
  // refused. What answers update_keys(true) of this side is not.
  int updates = 32;
};

// What the handshake has shown.
struct Peer {
  Version version = Version::tls13;
  std::string cipher;       // "TLS_AES_256_GCM_SHA384"
  std::string alpn;         // the protocol that was agreed; empty: none
  std::string server_name;  // what the client has asked for (SNI); empty: nothing
  std::string subject;      // of the peer's certificate, as Error::subject(); empty: it has none
  std::vector<std::string> chain_pem;  // what the peer has sent, its own certificate first
  bool resumed = false;                // an earlier session went on
};

namespace detail {

class Connection;

// The stream to which Stream adds what only TLS has.
class EVENT_API StreamBase : public net::Stream {
 public:
  ~StreamBase() override;

  net::Io try_read(net::Room room) noexcept override;
  net::Io try_write(net::Bytes bytes) noexcept override;
  net::Io try_write(std::span<const net::Bytes> pieces) noexcept override;
  net::Io try_shutdown() noexcept override;
  void wait(net::Want want, net::Waiter& waiter) noexcept override;
  net::Waiter* unwait(net::Want want) noexcept override;
  bool may(net::Want want) noexcept override;
  void tear() noexcept override;
  void idle_timeout(AnyDuration limit) override;
  void close() noexcept override;
  void reset() noexcept override;
  Base& base() const noexcept override;
  [[noreturn]] void throw_error(net::Io error, const char* what) const override;

  // Set it if the protocol itself says where a message ends. Then a connection that was cut, rather
  // than ended by the peer, reads as ended. Else that is event::Errc::truncated: anybody in between
  // can cut a connection.
  bool lenient_end = false;

 protected:
  explicit StreamBase(std::unique_ptr<Connection> connection) noexcept;
  StreamBase(StreamBase&& other) noexcept;
  Connection& connection() const noexcept { return *connection_; }

 private:
  std::unique_ptr<Connection> connection_;
};

}  // namespace detail

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverloaded-virtual"

// A TLS connection: made by connect(), client() and accept(), and used as any other net::Stream.
//
// What is written is encrypted at once, at most 64 KiB of it waits for the stream below to take it,
// and more is sent in the loop. Nothing is delivered that was not verified. A write that is
// cancelled half-way leaves the stream torn, as with any stream; complete records still go out, and
// reading and close() work. A read that is cancelled loses nothing.
//
// shutdown() tells the peer that nothing more is sent (close_notify); reading goes on. A write that
// fails does not end reading. Memory: about 15 KiB while idle, nearly all of it OpenSSL's, and 64
// KiB while the peer does not take what was written. Thread-safety: belongs to the thread that runs
// its base. Lifetime: may be moved while nobody waits for it. When destroyed it tells the peer, if
// that needs no wait, and closes the stream below. After fork(2) a child may only destroy it.
class EVENT_API Stream final : public detail::StreamBase {
 public:
  Stream(Stream&& other) noexcept;
  ~Stream() override;

  // Errors: throws std::bad_alloc.
  const Peer& peer() const;
  // Bytes that were decrypted and not read yet.
  std::size_t pending() const noexcept;
  // What carries it. Do not read, write or wait there.
  net::Stream& below() noexcept;
  // What has ended the connection, in words; empty if nothing has.
  std::string_view why() const noexcept;

  // Ends the connection in order: sends what is unsent and tells the peer, drops what it still
  // sends until it has ended as well or `limit` has passed, and closes the stream below, whatever
  // happens. Errors: throws std::errc::operation_canceled, std::bad_alloc; those of the stream are
  // ignored. Lifetime: the stream outlives the task. To close at once, as through a net::Stream&,
  // see close_now().
  [[nodiscard]] co::Task<> close(Duration limit = std::chrono::seconds(2));
  // Tells the peer, if that needs no wait, and closes.
  void close_now() noexcept { StreamBase::close(); }

  // Uses new keys from now on, and asks the peer for the same if `both`. OpenSSL does not do so by
  // itself. Without room they wait for what is written next. Errors: throws
  // std::errc::operation_not_supported with TLS 1.2, EPIPE after shutdown(), EBADF after close(),
  // Error.
  void update_keys(bool both = false);
  // `size` bytes that only the two ends of this connection can know: see RFC 5705. Errors: throws
  // Error.
  std::string exporter(std::string_view label, std::size_t size, std::string_view context = {});

  // Of a client: what a later connection to the same host may go on with. With TLS 1.3 the server
  // sends it after the handshake, so read something first.
  Session session() const;

 private:
  friend class detail::Connection;
  explicit Stream(std::unique_ptr<detail::Connection> connection) noexcept;
};

#pragma GCC diagnostic pop

}  // namespace event_cpp::tls
