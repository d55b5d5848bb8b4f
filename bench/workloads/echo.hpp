// A server that sends back what it gets, on the loopback interface, until its process is ended.
#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdio>
#include <vector>

#include "support/contender.hpp"
#include "support/listen.hpp"

namespace bench {

// What most programs are: a read event for each connection, which receives and sends.
template <class C>
class EchoServer {
 public:
  explicit EchoServer(int listener) : accept_(loop_, listener, Accept{this, listener}) {
    accept_.start();
  }
  void run() { loop_.run(); }

 private:
  struct Talk {
    EchoServer* server;
    int fd;

    void operator()(auto& watch) const {
      auto& message = server->message_;
      const ssize_t size = ::recv(fd, message.data(), message.size(), 0);
      if (size < 0) return;
      if (size == 0 || ::send(fd, message.data(), static_cast<std::size_t>(size), 0) != size) {
        watch.stop();
        ::close(fd);
      }
    }
  };
  struct Accept {
    EchoServer* server;
    int fd;

    void operator()(auto&) const {
      for (;;) {
        const int peer = ::accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (peer < 0) return;
        send_at_once(peer);
        // Lives as long as the process: clients come once and go when all is over.
        (new Connection(server->loop_, peer, Talk{server, peer}))->start();
      }
    }
  };
  using Connection = typename C::template Read<Talk>;

  typename C::Loop loop_;
  std::array<char, 64 * 1024> message_{};
  typename C::template Read<Accept> accept_;
};

template <class C>
struct EchoServerFor {
  using Type = EchoServer<C>;
};
template <HasEchoServer C>
struct EchoServerFor<C> {
  using Type = typename C::EchoServer;
};

// Says "ready" and the port, and never returns.
template <class C>
void serve_echo() {
  const Listening listening = listen_on_loopback();
  auto* const server = new typename EchoServerFor<C>::Type(listening.fd);
  std::printf("ready %d\n", listening.port);
  std::fflush(stdout);
  server->run();
}

}  // namespace bench
