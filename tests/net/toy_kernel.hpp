// ToyKernel: sockets in memory, for the tests of what is simulated.
#pragma once

#include <algorithm>
#include <climits>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "event/net.hpp"

namespace event_cpp::test {

// Stream and datagram sockets that only know each other. An address without a listener refuses,
// and one that is `silent` never answers. Everything arrives at once.
class ToyKernel final : public net::Kernel {
 public:
  // `room`: bytes that were sent and not received, in each direction of a connection.
  explicit ToyKernel(std::size_t room = std::size_t{64} << 10) : room_(room) {}

  // Two streams that are connected to each other.
  std::pair<net::Socket, net::Socket> pair() {
    const int a = socket(AF_UNIX, SOCK_STREAM, 0);
    const int b = socket(AF_UNIX, SOCK_STREAM, 0);
    of(a).peer = b;
    of(b).peer = a;
    return {net::Socket(a, this), net::Socket(b, this)};
  }
  // Sockets that nobody has closed.
  std::size_t open() const { return sockets_.size(); }

  std::set<net::Address> silent;
  std::map<net::Address, int> no_way;  // the error of connect()
  int accept_error = 0;                // of the next accept_errors calls
  int accept_errors = 0;
  int move_error = 0;  // of the next move_errors calls that would move bytes
  int move_errors = 0;
  int accepts = 0;  // calls of accept()
  int connects = 0;
  int socket_error = 0;
  bool connects_to_itself =
      false;  // as if by chance the port of a socket were the one it connects to

  int socket(int family, int type, int /*protocol*/) override {
    if (socket_error != 0) return -socket_error;
    const int fd = next_--;
    sockets_[fd].family = family;
    sockets_[fd].type = type;
    return fd;
  }

  int bind(int fd, const sockaddr* address, socklen_t size) override {
    net::Address local = net::Address::from(address, size).value_or(net::Address());
    if (local.is_ip() && local.port() == 0) local = local.with_port(next_port_++);
    if (find(local, of(fd).type) != 0) return -EADDRINUSE;
    of(fd).local = local;
    return 0;
  }

  int listen(int fd, int /*backlog*/) override {
    of(fd).listening = true;
    return 0;
  }

  int connect(int fd, const sockaddr* address, socklen_t size) override {
    ++connects;
    Socket& socket = of(fd);
    const net::Address remote = net::Address::from(address, size).value_or(net::Address());
    if (const auto error = no_way.find(remote); error != no_way.end()) return -error->second;
    socket.remote = remote;
    if (socket.local.family() == AF_UNSPEC) socket.local = free_address(socket.family);
    if (socket.type == SOCK_DGRAM) return 0;
    if (silent.contains(socket.remote)) return -EINPROGRESS;
    const int listener = find(socket.remote, SOCK_STREAM);
    socket.answered = true;
    if (connects_to_itself) {
      socket.local = socket.remote;
      socket.peer = fd;
      return -EINPROGRESS;
    }
    if (listener == 0 || !of(listener).listening) {
      socket.error = ECONNREFUSED;
      return -EINPROGRESS;
    }
    const int server = next_--;
    sockets_[server].family = socket.family;
    sockets_[server].type = SOCK_STREAM;
    sockets_[server].local = socket.remote;
    sockets_[server].remote = socket.local;
    sockets_[server].peer = fd;
    of(fd).peer = server;
    of(listener).queue.push_back(server);
    tell(listener, Events::read);
    return -EINPROGRESS;
  }

  int accept(int fd, sockaddr* /*address*/, socklen_t* /*size*/) override {
    ++accepts;
    if (accept_errors > 0) {
      --accept_errors;
      return -accept_error;
    }
    std::deque<int>& queue = of(fd).queue;
    if (queue.empty()) return -EAGAIN;
    const int first = queue.front();
    queue.pop_front();
    return first;
  }

  ssize_t recvmsg(int fd, msghdr* message, int /*flags*/) override {
    if (!sockets_.contains(fd)) return -EBADF;
    if (move_errors > 0) {
      --move_errors;
      return -move_error;
    }
    Socket& socket = of(fd);
    if (socket.type == SOCK_DGRAM) return receive_message(socket, *message);
    if (socket.in.empty()) {
      if (socket.error != 0) return -std::exchange(socket.error, 0);
      return socket.in_ended ? 0 : -EAGAIN;
    }
    const std::size_t size = scatter(*message, socket.in);
    socket.in.erase(0, size);
    if (socket.peer != 0) tell(socket.peer, Events::write);
    return static_cast<ssize_t>(size);
  }

  ssize_t sendmsg(int fd, const msghdr* message, int /*flags*/) override {
    if (!sockets_.contains(fd)) return -EBADF;
    if (move_errors > 0) {
      --move_errors;
      return -move_error;
    }
    Socket& socket = of(fd);
    if (socket.error != 0) return -std::exchange(socket.error, 0);
    if (socket.type == SOCK_DGRAM) {
      const ssize_t size = send_message(socket, *message);
      if (socket.error != 0) tell(fd, Events::read);
      return size;
    }
    if (socket.out_ended || socket.peer == 0) return -EPIPE;
    std::string& in = of(socket.peer).in;
    const std::string some = gather(*message, room_ - std::min(room_, in.size()));
    if (some.empty() && !is_empty(*message)) return -EAGAIN;
    in += some;
    tell(socket.peer, Events::read);
    return static_cast<ssize_t>(some.size());
  }

  int shutdown(int fd, int /*how*/) override {
    if (!sockets_.contains(fd)) return -EBADF;
    of(fd).out_ended = true;
    if (of(fd).peer == 0) return -ENOTCONN;
    end(of(fd).peer);
    return 0;
  }

  int close(int fd) override {
    const auto found = sockets_.find(fd);
    if (found == sockets_.end()) return -EBADF;
    const Socket closed = std::move(found->second);
    sockets_.erase(found);
    for (const int waiting : closed.queue) close(waiting);
    if (closed.peer == 0 || !sockets_.contains(closed.peer)) return 0;
    Socket& peer = of(closed.peer);
    peer.peer = 0;
    if (closed.resets || !closed.in.empty()) peer.error = ECONNRESET;
    end(closed.peer);
    tell(closed.peer, Events::write);
    return 0;
  }

  int getsockopt(int fd, int level, int name, void* value, socklen_t* /*size*/) override {
    if (level != SOL_SOCKET || name != SO_ERROR) return -ENOPROTOOPT;
    const int error = std::exchange(of(fd).error, 0);
    std::memcpy(value, &error, sizeof error);
    return 0;
  }
  int setsockopt(int fd, int /*level*/, int name, const void* /*value*/,
                 socklen_t /*size*/) override {
    if (name == SO_LINGER) of(fd).resets = true;
    return 0;
  }
  int getsockname(int fd, sockaddr* address, socklen_t* size) override {
    return give(of(fd).local, address, size);
  }
  int getpeername(int fd, sockaddr* address, socklen_t* size) override {
    if (of(fd).peer == 0) return -ENOTCONN;
    return give(of(fd).remote, address, size);
  }

  void watch(int fd, Event& event) override {
    Socket& socket = of(fd);
    socket.watcher = &event;
    Events now = Events::none;
    if (!socket.in.empty() || !socket.queue.empty() || !socket.messages.empty()) {
      now |= Events::read;
    }
    if (socket.in_ended) now |= Events::closed;
    if (socket.peer != 0 || socket.answered || socket.type == SOCK_DGRAM) now |= Events::write;
    event.activate(now);
  }
  void unwatch(int fd, Event& /*event*/) noexcept override {
    if (sockets_.contains(fd)) of(fd).watcher = nullptr;
  }

 private:
  struct Message {
    std::string bytes;
    net::Address from;
  };
  struct Socket {
    int family = 0;
    int type = 0;
    net::Address local;
    net::Address remote;
    bool listening = false;
    std::deque<int> queue;  // of a listener: what can be accepted
    int peer = 0;           // 0: none
    bool answered = false;  // a connect has succeeded or failed
    std::string in;
    bool in_ended = false;
    bool out_ended = false;
    bool resets = false;  // when it is closed
    int error = 0;        // pending
    std::deque<Message> messages;
    Event* watcher = nullptr;
  };

  Socket& of(int fd) { return sockets_.at(fd); }

  void tell(int fd, Events events) {
    if (Event* const watcher = of(fd).watcher) watcher->activate(events);
  }
  void end(int fd) {
    of(fd).in_ended = true;
    tell(fd, Events::closed);
  }
  int find(const net::Address& address, int type) const {
    for (const auto& [fd, socket] : sockets_) {
      const bool is_end = socket.peer != 0 || socket.answered;
      if (socket.type == type && socket.local == address && !is_end) return fd;
    }
    return 0;
  }
  net::Address free_address(int family) {
    if (family == AF_INET) return net::Address::loopback(next_port_++);
    if (family == AF_INET6) return net::Address::loopback_ipv6(next_port_++);
    return net::Address::unix_path("/" + std::to_string(next_port_++));
  }
  static int give(const net::Address& from, sockaddr* address, socklen_t* size) {
    std::memcpy(address, from.data(), from.size());
    *size = from.size();
    return 0;
  }
  // What is in a message, its first `most` bytes.
  static std::string gather(const msghdr& message, std::size_t most = std::string::npos) {
    std::string some;
    for (std::size_t i = 0; i < static_cast<std::size_t>(message.msg_iovlen); ++i) {
      const iovec& part = message.msg_iov[i];
      some.append(static_cast<const char*>(part.iov_base),
                  std::min(part.iov_len, most - some.size()));
    }
    return some;
  }
  static bool is_empty(const msghdr& message) { return gather(message, 1).empty(); }
  static std::size_t scatter(msghdr& message, const std::string& from) {
    std::size_t done = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(message.msg_iovlen); ++i) {
      const iovec& part = message.msg_iov[i];
      const std::size_t size = std::min(part.iov_len, from.size() - done);
      std::memcpy(part.iov_base, from.data() + done, size);
      done += size;
    }
    return done;
  }
  static ssize_t receive_message(Socket& socket, msghdr& message) {
    if (socket.error != 0) return -std::exchange(socket.error, 0);
    if (socket.messages.empty()) return -EAGAIN;
    const Message first = std::move(socket.messages.front());
    socket.messages.pop_front();
    const std::size_t size = scatter(message, first.bytes);
    message.msg_flags = size < first.bytes.size() ? MSG_TRUNC : 0;
    if (message.msg_name != nullptr) {
      std::memcpy(message.msg_name, first.from.data(), first.from.size());
      message.msg_namelen = first.from.size();
    }
    return static_cast<ssize_t>(size);
  }
  ssize_t send_message(Socket& socket, const msghdr& message) {
    net::Address to = socket.remote;
    if (message.msg_name != nullptr) {
      to = net::Address::from(static_cast<sockaddr*>(message.msg_name), message.msg_namelen)
               .value_or(net::Address());
    }
    const std::string all = gather(message);
    if (all.size() > 65507 && to.is_ip()) return -EMSGSIZE;
    const int receiver = find(to, SOCK_DGRAM);
    if (receiver != 0) {
      of(receiver).messages.push_back({all, socket.local});
      tell(receiver, Events::read);
    } else if (socket.remote.family() != AF_UNSPEC) {
      socket.error = ECONNREFUSED;
    }
    return static_cast<ssize_t>(all.size());
  }

  const std::size_t room_;
  std::map<int, Socket> sockets_;
  int next_ = -5000;
  int next_port_ = 50000;
};

}  // namespace event_cpp::test
