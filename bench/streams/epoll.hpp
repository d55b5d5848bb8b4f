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

// Returns false if the connection has ended.
inline bool echo_once(int fd) {
  static std::array<char, 64 * 1024> message;
  const ssize_t size = ::recv(fd, message.data(), message.size(), 0);
  if (size < 0) return errno == EAGAIN;
  return size > 0 &&
         ::send(fd, message.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL) == size;
}

// 32 bytes a connection, as of a program with a little to know of each.
struct Connection {
  int fd;
};

inline void serve(int listener) {
  const int epoll = checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  const auto add = [epoll](Connection* connection) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = connection;
    checked(::epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event), "epoll_ctl");
  };
  Connection listening{listener};
  add(&listening);
  std::array<epoll_event, 256> ready;
  for (;;) {
    const int count = ::epoll_wait(epoll, ready.data(), static_cast<int>(ready.size()), -1);
    for (int i = 0; i < count; ++i) {
      auto* const connection =
          static_cast<Connection*>(ready[static_cast<std::size_t>(i)].data.ptr);
      if (connection != &listening) {
        if (echo_once(connection->fd)) continue;
        ::close(connection->fd);
        delete connection;
        continue;
      }
      for (;;) {
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) break;
        send_at_once(fd);
        add(new Connection{fd});
      }
    }
  }
}

inline std::map<std::string_view, void (*)(int)> servers() { return {{"echo", &serve}}; }

}  // namespace bench
