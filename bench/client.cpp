// The client of the echo servers: the same for all of them.
//
//   bench_client PORT SERVER_PROCESS CONNECTIONS BYTES
//
// Each connection has at most one message on its way. For each number on the standard input does so
// many round trips, and tells what each took, also of the server's processor time.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "support/clock.hpp"
#include "support/figures.hpp"
#include "support/system.hpp"

namespace {

using namespace bench;

class Client {
 public:
  Client(std::uint16_t port, pid_t server, std::size_t connections, std::size_t bytes)
      : message_(bytes), connections_(connections) {
    ::clock_getcpuclockid(server, &server_clock_);
    for (Connection& connection : connections_) open(connection, port);
  }

  Figures run(std::uint64_t operations) {
    const std::uint64_t round_trips = std::max<std::uint64_t>(operations, connections_.size());
    const std::int64_t server_before = read_clock(server_clock_);
    const std::int64_t start = now();
    to_send_ = round_trips;
    for (Connection& connection : connections_) send(connection);
    for (std::uint64_t left = round_trips; left > 0;) left -= receive_ready();
    const auto count = static_cast<double>(round_trips);
    const auto took = static_cast<double>(now() - start);
    const auto server = static_cast<double>(read_clock(server_clock_) - server_before);
    return {{"ops", count}, {"ns", took / count}, {"cpu", server / count}};
  }

 private:
  struct Connection {
    int fd = -1;
    std::size_t received = 0;
  };

  void open(Connection& connection, std::uint16_t port) {
    connection.fd = checked(::socket(AF_INET, SOCK_STREAM, 0), "socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    checked(::connect(connection.fd, reinterpret_cast<sockaddr*>(&address), sizeof address),
            "connect");
    const int on = 1;
    ::setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // Closing resets: thousands of connections would else keep their ports for a minute.
    const linger reset{1, 0};
    ::setsockopt(connection.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &connection;
    checked(::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event), "epoll_ctl");
  }

  void send(const Connection& connection) {
    if (to_send_ == 0) return;
    --to_send_;
    const ssize_t size = ::send(connection.fd, message_.data(), message_.size(), MSG_NOSIGNAL);
    if (size != static_cast<ssize_t>(message_.size())) fail("send");
  }

  // How many messages have come back whole.
  std::uint64_t receive_ready() {
    const int capacity = static_cast<int>(ready_.size());
    const int count = checked(::epoll_wait(epoll_, ready_.data(), capacity, -1), "epoll_wait");
    std::uint64_t whole = 0;
    for (int i = 0; i < count; ++i) {
      auto& connection = *static_cast<Connection*>(ready_[static_cast<std::size_t>(i)].data.ptr);
      const ssize_t size = ::recv(connection.fd, message_.data(), message_.size(), 0);
      if (size <= 0) fail("recv");
      connection.received += static_cast<std::size_t>(size);
      if (connection.received < message_.size()) continue;
      connection.received = 0;
      ++whole;
      send(connection);
    }
    return whole;
  }

  int epoll_ = checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  clockid_t server_clock_ = CLOCK_MONOTONIC;
  std::vector<char> message_;
  std::vector<Connection> connections_;
  std::uint64_t to_send_ = 0;
  std::array<epoll_event, 1024> ready_{};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("usage: bench_client PORT SERVER_PROCESS CONNECTIONS BYTES\n", stderr);
    return 2;
  }
  raise_descriptor_limit();
  const auto number = [&](int i) { return std::strtoul(argv[i], nullptr, 10); };
  Client client(static_cast<std::uint16_t>(number(1)), static_cast<pid_t>(number(2)), number(3),
                number(4));
  client.run(number(3));  // each connection is accepted, and has been used
  return serve(client);
}
