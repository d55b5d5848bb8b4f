// Socket: owns a descriptor.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <system_error>
#include <utility>

#include "event/net/address.hpp"
#include "event/net/kernel.hpp"
#include "event/time.hpp"

namespace event_cpp::net {

// The process at the other end of a Unix socket, as it was when it connected.
struct PeerCredentials {
  pid_t pid = -1;  // -1: unknown on this system
  uid_t uid = 0;
  gid_t gid = 0;
};

// Owns a socket: its destructor closes it. Sockets made by this library are non-blocking and
// close-on-exec. An fd of -1 means none; one below -1 is simulated: see Kernel.
//
// Thread-safety: as an int. Errors: the calls below throw std::system_error with the system's own
// code unless they say otherwise.
class EVENT_API Socket {
 public:
  Socket() noexcept = default;
  // Takes over a descriptor. `kernel` is for a simulated one.
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

  // Makes a non-blocking socket, by the Kernel of `base` if that has one. `type` is SOCK_STREAM or
  // SOCK_DGRAM. Its number is above those of the standard streams, which may be closed: what is
  // printed goes to no peer. See socket(2).
  static Socket make(Base& base, int family, int type, int protocol = 0);
  // Two Unix stream sockets that are connected to each other. See socketpair(2).
  static std::pair<Socket, Socket> pair();
  // Takes over a descriptor from elsewhere, such as one that was inherited or received. Makes it
  // non-blocking and close-on-exec. Errors: also ENOTSOCK. After an error the descriptor is still
  // the caller's, and open.
  static Socket adopt(int fd);

  int fd() const noexcept { return fd_; }
  Kernel* kernel() const noexcept { return kernel_; }
  explicit operator bool() const noexcept { return fd_ != -1; }
  // Gives the descriptor up without closing it: the caller closes it.
  int release() noexcept { return std::exchange(fd_, -1); }
  void close() noexcept;

  void bind(const Address& address);
  void listen(int backlog);
  // Starts to connect. Returns true if it is connected already. If false, wait until the socket is
  // writable, then error() says whether it worked. Call it once for each socket. A Unix socket
  // whose peer accepts too slowly throws std::errc::resource_unavailable_try_again.
  bool connect(const Address& address);
  // Returns and clears the pending error: SO_ERROR.
  std::error_code error() const noexcept;
  void shutdown(int how);

  // The addresses of its two ends. Errors: ENOTCONN without a peer.
  Address address() const;
  Address peer() const;

  // Options. See tcp(7), socket(7), ipv6(7).
  void set_no_delay(bool on);    // send at once, do not gather: TCP_NODELAY
  void set_keep_alive(bool on);  // probe a peer that is silent: SO_KEEPALIVE
  // Turns probes on: the first after `idle` of silence, the next ones every `interval`; after
  // `probes` of them without an answer the connection fails. Times are rounded up to seconds.
  // TCP_KEEPIDLE, _INTVL, _CNT.
  void set_keep_alive(AnyDuration idle, AnyDuration interval, int probes);
  void set_reuse_address(bool on);     // SO_REUSEADDR
  void set_reuse_port(bool on);        // SO_REUSEPORT
  void set_ipv6_only(bool on);         // IPV6_V6ONLY
  void set_broadcast(bool on);         // SO_BROADCAST
  void set_receive_buffer(int bytes);  // SO_RCVBUF
  void set_send_buffer(int bytes);     // SO_SNDBUF
  void set_reset_on_close();           // SO_LINGER of zero: close() sends a reset

  // Of the process that connected a Unix socket. Errors: std::errc::not_supported where the system
  // does not tell. See SO_PEERCRED in unix(7), getpeereid(3).
  PeerCredentials peer_credentials() const;

  // Sets an option that has no function here. See setsockopt(2).
  void set_option(int level, int name, int value);

 private:
  int fd_ = -1;
  Kernel* kernel_ = nullptr;
};

// Sends a descriptor, or all of `fds`, over a Unix stream socket, with one byte of data. The other
// process gets descriptors of its own for the same open files.
// Errors: throws std::system_error; EAGAIN if the socket's buffer is full. See SCM_RIGHTS in
// unix(7).
EVENT_API void send_descriptor(const Socket& over, int fd);
// Receives what send_descriptor() has sent; closed by exec(3). Returns -1 if the peer has closed.
// Errors: throws std::system_error; EAGAIN if there is nothing; EBADMSG if data came without a
// descriptor. Descriptors that came in excess are closed.
EVENT_API int receive_descriptor(const Socket& over);

}  // namespace event_cpp::net
