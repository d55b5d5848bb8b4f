// Socket: owns the fd of a socket.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <system_error>
#include <utility>

#include "event/net/address.hpp"
#include "event/net/kernel.hpp"
#include "event/time.hpp"

namespace event_cpp::net {

// The process at the other end of a Unix socket, at the time when it connected.
struct PeerCredentials {
  pid_t pid = -1;  // -1: unknown on this system
  uid_t uid = 0;
  gid_t gid = 0;
};

// Owns a socket: its destructor closes it. Sockets made by this library are non-blocking and
// close-on-exec. An fd of -1 means none; one below -1 is simulated: see Kernel.
//
// Thread-safety: as any value. Errors: the calls below throw std::system_error with the system's
// own code unless they say otherwise.
class EVENT_API Socket {
 public:
  Socket() noexcept = default;
  // Takes ownership of an fd. Changes none of its flags: see adopt(). `kernel` is for a simulated
  // fd.
  explicit Socket(int fd, Kernel* kernel = nullptr) noexcept : fd_(fd), kernel_(kernel) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)), kernel_(other.kernel_) {}
  Socket& operator=(Socket&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = std::exchange(other.fd_, -1);
      kernel_ = other.kernel_;
    }
    return *this;
  }
  ~Socket() {
    if (fd_ != -1) close();
  }

  // Makes a non-blocking socket, with the Kernel of `base` if set_kernel() was called. `type` is
  // SOCK_STREAM or SOCK_DGRAM. The fd is never 0, 1 or 2, even if a standard stream is closed, so
  // that nothing that is printed is sent to a peer. See socket(2).
  static Socket make(Base& base, int family, int type, int protocol = 0);
  // Two Unix stream sockets that are connected to each other. See socketpair(2).
  static std::pair<Socket, Socket> pair();
  // Takes ownership of a socket from elsewhere, such as one that was inherited or received. Makes
  // it non-blocking and close-on-exec. Errors: also ENOTSOCK. After an error the fd is still open,
  // and the caller's.
  static Socket adopt(int fd);

  int fd() const noexcept { return fd_; }
  Kernel* kernel() const noexcept { return kernel_; }
  explicit operator bool() const noexcept { return fd_ != -1; }
  // Gives up ownership, and returns the fd: the caller closes it.
  int release() noexcept { return std::exchange(fd_, -1); }
  void close() noexcept;

  void bind(const Address& address);
  void listen(int backlog);
  // Starts to connect. Returns true if the connection exists already. If false, wait until the
  // socket is writable; then error() returns the result. Call it once for each socket. For a Unix
  // socket it throws std::errc::resource_unavailable_try_again if the peer's backlog is full. See
  // connect(2).
  bool connect(const Address& address);
  // Returns and clears the pending error: SO_ERROR.
  std::error_code error() const noexcept;
  void shutdown(int how);

  // The local and the remote address. Errors: ENOTCONN without a peer.
  Address address() const;
  Address peer() const;

  // Options. See tcp(7), socket(7), ipv6(7).
  void set_no_delay(bool on);    // without Nagle's algorithm: TCP_NODELAY
  void set_keep_alive(bool on);  // probe a silent peer: SO_KEEPALIVE
  // Turns keep-alive on: the first probe after `idle` of silence, then one every `interval`; after
  // `probes` of them without an answer the connection fails (ETIMEDOUT). Times are rounded up to
  // seconds. TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT.
  void set_keep_alive(AnyDuration idle, AnyDuration interval, int probes);
  void set_reuse_address(bool on);     // SO_REUSEADDR
  void set_reuse_port(bool on);        // SO_REUSEPORT
  void set_ipv6_only(bool on);         // IPV6_V6ONLY
  void set_broadcast(bool on);         // SO_BROADCAST
  void set_receive_buffer(int bytes);  // SO_RCVBUF
  void set_send_buffer(int bytes);     // SO_SNDBUF
  void set_reset_on_close();           // SO_LINGER of zero: close() sends a reset

  // Of a connected Unix socket. Errors: std::errc::not_supported if the system has no such call.
  // See SO_PEERCRED in unix(7), getpeereid(3).
  PeerCredentials peer_credentials() const;

  // Sets an option that has no function here. See setsockopt(2).
  void set_option(int level, int name, int value);

 private:
  int fd_ = -1;
  Kernel* kernel_ = nullptr;
};

// As the functions of the same name for a SocketStream (see event/net/transfer.hpp), but never
// wait: throw EAGAIN if the socket's buffer is full, or there is nothing to receive.
EVENT_API void send_descriptor(const Socket& over, int fd);
EVENT_API int receive_descriptor(const Socket& over);

}  // namespace event_cpp::net
