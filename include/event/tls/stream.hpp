// tls::Stream: a TLS connection.
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

// Limits on what a peer can do. (net::Limits is another type: how many bytes a Buffered holds.)
struct Limits {
  AnyDuration handshake = std::chrono::seconds(10);  // for the whole handshake; then timed_out
  AnyDuration close = std::chrono::seconds(2);       // that serve() gives to Stream::close()
  // How many key updates and other handshake messages a peer may send in each MiB of data; after
  // more, reading fails with Errc::too_many_updates. With TLS 1.3 session tickets count. With TLS
  // 1.2 requests for renegotiation count, which are also refused. Answers to update_keys(true) do
  // not count.
  int updates = 32;
};

// The result of the handshake.
struct Peer {
  Version version = Version::tls13;
  std::string cipher;       // "TLS_AES_256_GCM_SHA384"
  std::string alpn;         // the negotiated protocol; empty: none
  std::string server_name;  // the name that the client has asked for (SNI); empty: none
  std::string subject;      // of the peer's certificate, as Error::subject(); empty: none was sent
  std::vector<std::string> chain_pem;  // the peer's certificates in PEM, its own first
  bool resumed = false;                // a session was resumed: the handshake was a short one
};

namespace detail {

class Connection;

// The net::Stream part of Stream.
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

  // If true, reading reports a connection that was cut without the peer's close_notify as the
  // ordinary end of the stream. If false, as event::Errc::truncated. Set it only if the protocol
  // itself shows where a message ends, since a man in the middle can cut a connection.
  bool lenient_end = false;

 protected:
  explicit StreamBase(std::unique_ptr<Connection> connection) noexcept;
  StreamBase(StreamBase&& other) noexcept;
  Connection& connection() const noexcept { return *connection_; }
  bool has_connection() const noexcept { return connection_ != nullptr; }

 private:
  std::unique_ptr<Connection> connection_;
};

}  // namespace detail

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverloaded-virtual"

// A TLS connection: made by connect(), client() and accept(), and used as any other net::Stream.
//
// A write encrypts at once. At most 65 KiB of encrypted data wait in memory; the event loop sends
// them as the stream below takes them, and until then further writes wait. Reading delivers only
// data whose authenticity was verified. A write that is cancelled half-way leaves the stream torn
// (event::Errc::torn), as with any stream: complete records are still sent, and reading and close()
// still work. A read that is cancelled loses nothing.
//
// shutdown() sends close_notify: nothing more will be written. Reading goes on. It also goes on
// after a failed write.
//
// Memory: about 15 KiB while idle, nearly all of it OpenSSL's, and 65 KiB while encrypted data
// wait. Thread-safety: belongs to the thread that runs its base. Lifetime: owns the stream below.
// May be moved while nothing waits for it, neither a task nor on_readable() or on_writable(), which
// debug builds assert; one that was moved from may only be tested and destroyed. The destructor is
// close_now(). After fork(2) the child may only destroy it.
class EVENT_API Stream final : public detail::StreamBase {
 public:
  Stream(Stream&& other) noexcept;
  ~Stream() override;

  // False if it was moved from.
  explicit operator bool() const noexcept { return has_connection(); }

  // The result of the handshake, collected at the first call. Errors: throws std::bad_alloc.
  const Peer& peer() const;
  // The number of bytes that were decrypted and not read yet.
  std::size_t pending() const noexcept;
  // The stream that carries the TLS records. Do not read, write or wait on it, nor set its idle
  // timeout. If it is a net::SocketStream, as after connect() and in serve(), its with_socket()
  // tells the addresses:
  //   dynamic_cast<net::SocketStream&>(stream.below())
  net::Stream& below() noexcept;
  // A description of the error that has ended the connection; empty if there was none.
  std::string_view why() const noexcept;

  // Closes gracefully: sends pending data and close_notify, discards incoming data until the peer
  // closes or `limit` has passed, and closes the stream below in any case. Errors: throws
  // std::errc::operation_canceled, std::bad_alloc; errors of the stream are ignored. Lifetime: the
  // stream outlives the task. Through a net::Stream&, close() is close_now().
  [[nodiscard]] co::Task<> close(AnyDuration limit = std::chrono::seconds(2));
  // Sends close_notify if that is possible without waiting, and closes the stream below. Drops data
  // that are not sent yet.
  void close_now() noexcept { StreamBase::close(); }

  // Encrypts later writes with new keys (KeyUpdate, RFC 8446 section 4.6.3); if `both`, asks the
  // peer to do the same. OpenSSL does not do so by itself. If the message cannot be sent at once,
  // it goes out before the next write. Errors: throws Error: std::errc::operation_not_supported
  // with TLS 1.2, EPIPE after shutdown(), EBADF after close(), the error of a connection that has
  // failed.
  void update_keys(bool both = false);
  // Derives `size` bytes of key material that both ends of this connection can compute, and nobody
  // else: see RFC 5705. Errors: throws Error, std::bad_alloc.
  std::string exporter(std::string_view label, std::size_t size, std::string_view context = {});

  // Of a client: the session, with which client() can resume. Empty at a server, or if there is
  // none yet: with TLS 1.3 the server sends it after the handshake, so read something first.
  // Errors: throws std::bad_alloc.
  Session session() const;

 private:
  friend class detail::Connection;
  explicit Stream(std::unique_ptr<detail::Connection> connection) noexcept;
};

#pragma GCC diagnostic pop

}  // namespace event_cpp::tls
