// By hand on epoll, level-triggered, with OpenSSL on the descriptor.
#pragma once

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>
#include <string_view>

#include "support/listen.hpp"
#include "support/tls_context.hpp"

namespace bench {

enum class Work { echo, download, upload };

struct Connection {
  SSL* ssl = nullptr;
  std::size_t to_send = 0;
  std::size_t received = 0;
  bool is_ready = false;
  bool waits_to_write = false;
};

// Returns false if the connection has ended; `writes` is set if it has to wait for room.
template <Work kWork>
bool serve_once(Connection& connection, bool& writes) {
  static std::array<char, 64 * 1024> message;
  const auto goes_on = [&](int result) {
    const int error = SSL_get_error(connection.ssl, result);
    writes = error == SSL_ERROR_WANT_WRITE;
    return writes || error == SSL_ERROR_WANT_READ;
  };
  if (!connection.is_ready) {
    const int result = SSL_accept(connection.ssl);
    if (result != 1) return goes_on(result);
    connection.is_ready = true;
  }
  for (;;) {
    while (connection.to_send > 0) {
      const std::size_t size = std::min(connection.to_send, message.size());
      const char* from = message.data();
      if constexpr (kWork == Work::download) from = bulk.data() + (kBulk - connection.to_send);
      const int result = SSL_write(connection.ssl, from, static_cast<int>(size));
      if (result <= 0) return goes_on(result);
      connection.to_send -= static_cast<std::size_t>(result);
    }
    const int size = SSL_read(connection.ssl, message.data(), static_cast<int>(message.size()));
    if (size <= 0) return goes_on(size);
    if constexpr (kWork == Work::echo) connection.to_send = static_cast<std::size_t>(size);
    if constexpr (kWork == Work::download) connection.to_send = kBulk;
    if constexpr (kWork == Work::upload) {
      connection.received += static_cast<std::size_t>(size);
      if (connection.received < kBulk) continue;
      connection.received -= kBulk;
      connection.to_send = kMessage;
    }
    if constexpr (kWork == Work::echo) {
      // Most of the time all is read and sent: then nothing needs to be asked again.
      const int sent = SSL_write(connection.ssl, message.data(), size);
      if (sent <= 0) return goes_on(sent);
      connection.to_send -= static_cast<std::size_t>(sent);
      if (connection.to_send == 0 && SSL_has_pending(connection.ssl) == 0) return true;
    }
  }
}

template <Work kWork>
void serve(int listener) {
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  set_up(context);
  const int epoll = checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  const auto watch = [epoll](int operation, int fd, Connection* connection, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = connection;
    checked(::epoll_ctl(epoll, operation, fd, &event), "epoll_ctl");
  };
  Connection listening;
  watch(EPOLL_CTL_ADD, listener, &listening, EPOLLIN);
  std::array<epoll_event, 256> ready;
  for (;;) {
    const int count = ::epoll_wait(epoll, ready.data(), static_cast<int>(ready.size()), -1);
    for (int i = 0; i < count; ++i) {
      auto* const connection =
          static_cast<Connection*>(ready[static_cast<std::size_t>(i)].data.ptr);
      if (connection != &listening) {
        const int fd = SSL_get_fd(connection->ssl);
        bool writes = false;
        if (serve_once<kWork>(*connection, writes)) {
          if (writes != connection->waits_to_write) {
            watch(EPOLL_CTL_MOD, fd, connection, writes ? EPOLLOUT : EPOLLIN);
            connection->waits_to_write = writes;
          }
          continue;
        }
        SSL_shutdown(connection->ssl);
        SSL_free(connection->ssl);
        ::close(fd);
        delete connection;
        continue;
      }
      for (;;) {
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) break;
        send_at_once(fd);
        auto* const accepted = new Connection;
        accepted->ssl = SSL_new(context);
        SSL_set_fd(accepted->ssl, fd);
        SSL_set_accept_state(accepted->ssl);
        watch(EPOLL_CTL_ADD, fd, accepted, EPOLLIN);
      }
    }
  }
}

inline std::map<std::string_view, void (*)(int)> servers() {
  return {{"echo", &serve<Work::echo>},
          {"download", &serve<Work::download>},
          {"upload", &serve<Work::upload>}};
}

}  // namespace bench
