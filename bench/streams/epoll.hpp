// By hand on epoll, level-triggered.
#pragma once

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>
#include <string_view>

#include "support/listen.hpp"

namespace bench {

// 32 bytes a connection, as of a program with a little to know of each.
struct Connection {
  int fd = -1;
  bool waits_to_write = false;
  std::size_t to_send = 0;
  std::size_t received = 0;
};

inline std::array<char, 64 * 1024>& message() {
  static std::array<char, 64 * 1024> shared;
  return shared;
}

// These return false if the connection has ended.
inline bool echo(Connection& connection) {
  const ssize_t size = ::recv(connection.fd, message().data(), message().size(), 0);
  if (size < 0) return errno == EAGAIN;
  return size > 0 && ::send(connection.fd, message().data(), static_cast<std::size_t>(size),
                            MSG_NOSIGNAL) == size;
}

inline bool download(Connection& connection) {
  if (connection.to_send == 0) {
    const ssize_t size = ::recv(connection.fd, message().data(), message().size(), 0);
    if (size < 0) return errno == EAGAIN;
    if (size == 0) return false;
    connection.to_send = kBulk;
  }
  const ssize_t sent = ::send(connection.fd, bulk.data(), connection.to_send, MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN;
  connection.to_send -= static_cast<std::size_t>(sent);
  return true;
}

inline bool upload(Connection& connection) {
  const ssize_t size = ::recv(connection.fd, message().data(), message().size(), 0);
  if (size < 0) return errno == EAGAIN;
  if (size == 0) return false;
  connection.received += static_cast<std::size_t>(size);
  if (connection.received < kBulk) return true;
  connection.received -= kBulk;
  return ::send(connection.fd, message().data(), kMessage, MSG_NOSIGNAL) == kMessage;
}

template <bool (*kAnswer)(Connection&)>
void serve(int listener) {
  const int epoll = checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  const auto watch = [epoll](int operation, Connection& connection, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &connection;
    checked(::epoll_ctl(epoll, operation, connection.fd, &event), "epoll_ctl");
  };
  Connection listening{listener};
  watch(EPOLL_CTL_ADD, listening, EPOLLIN);
  std::array<epoll_event, 256> ready;
  for (;;) {
    const int count = ::epoll_wait(epoll, ready.data(), static_cast<int>(ready.size()), -1);
    for (int i = 0; i < count; ++i) {
      auto* const connection =
          static_cast<Connection*>(ready[static_cast<std::size_t>(i)].data.ptr);
      if (connection != &listening) {
        if (!kAnswer(*connection)) {
          ::close(connection->fd);
          delete connection;
        } else if (const bool waits = connection->to_send > 0;
                   waits != connection->waits_to_write) {
          watch(EPOLL_CTL_MOD, *connection, waits ? EPOLLOUT : EPOLLIN);
          connection->waits_to_write = waits;
        }
        continue;
      }
      for (;;) {
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) break;
        send_at_once(fd);
        auto* const accepted = new Connection{fd};
        watch(EPOLL_CTL_ADD, *accepted, EPOLLIN);
      }
    }
  }
}

inline std::map<std::string_view, void (*)(int)> servers() {
  return {{"echo", &serve<&echo>}, {"download", &serve<&download>}, {"upload", &serve<&upload>}};
}

}  // namespace bench
