// The client of the echo servers: the same for all of them.
//
//   bench_client PORT SERVER_PROCESS CONNECTIONS BYTES [DEPTH [ANSWER]]
//
// Each connection has at most DEPTH messages on their way, else one, all sent at once; each is a
// line of BYTES. ANSWER is how long what comes back for each is, else BYTES; 0: each message has a
// connection of its own, made and closed. For each number on the standard input does so many round
// trips, and tells what each took, also of the server's processor time.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include BENCH_TRANSPORT_HEADER

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "support/clock.hpp"
#include "support/figures.hpp"
#include "support/listen.hpp"
#include "support/system.hpp"

namespace {

using namespace bench;

class Client {
 public:
  Client(std::uint16_t port, pid_t server, std::size_t connections, std::size_t bytes,
         std::size_t depth, std::size_t answer)
      : port_(port),
        depth_(depth),
        renews_(answer == 0),
        answer_(depth * (renews_ ? bytes : answer)),
        message_(depth * bytes),
        received_(std::max(answer_, message_.size())),
        connections_(connections) {
    for (std::size_t i = bytes; i <= message_.size(); i += bytes) message_[i - 1] = '\n';
    ::clock_getcpuclockid(server, &server_clock_);
    if (renews_) return;
    for (Connection& connection : connections_) {
      open(connection);
      watch(connection);
    }
  }

  Figures run(std::uint64_t operations) {
    const std::uint64_t least = std::max<std::uint64_t>(operations, connections_.size() * depth_);
    const std::uint64_t round_trips = least - least % depth_;
    const std::int64_t server_before = read_clock(server_clock_);
    const std::int64_t start = now();
    to_send_ = round_trips;
    if (renews_) {
      for (; to_send_ > 0; --to_send_) come_and_go();
    } else {
      for (Connection& connection : connections_) send(connection);
      for (std::uint64_t left = round_trips; left > 0;) left -= receive_ready();
    }
    const auto count = static_cast<double>(round_trips);
    const auto took = static_cast<double>(now() - start);
    const auto server = static_cast<double>(read_clock(server_clock_) - server_before);
    return {{"ops", count}, {"ns", took / count}, {"cpu", server / count}};
  }

 private:
  struct Connection {
    int fd = -1;
    std::size_t received = 0;
    Transport transport{};
  };

  void open(Connection& connection) {
    connection.fd = checked(::socket(AF_INET, SOCK_STREAM, 0), "socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    checked(::connect(connection.fd, reinterpret_cast<sockaddr*>(&address), sizeof address),
            "connect");
    send_at_once(connection.fd);
    // Closing resets: thousands of connections would else keep their ports for a minute.
    const linger reset{1, 0};
    ::setsockopt(connection.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    connection.transport.begin(connection.fd);
  }

  void watch(Connection& connection) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &connection;
    checked(::epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event), "epoll_ctl");
  }

  void send(Connection& connection) {
    if (to_send_ == 0) return;
    to_send_ -= depth_;
    const ssize_t size = connection.transport.send(message_.data(), message_.size());
    if (size != static_cast<ssize_t>(message_.size())) fail("send");
  }

  // The server closes when this has ended its direction. Then resets: see open().
  void come_and_go() {
    Connection connection;
    open(connection);
    ++to_send_;  // which send() takes
    send(connection);
    std::size_t left = answer_;
    while (left > 0) {
      const ssize_t size = connection.transport.receive(received_.data(), left);
      if (size <= 0) fail("recv");
      left -= static_cast<std::size_t>(size);
    }
    connection.transport.end();
    if (connection.transport.receive(received_.data(), 1) != 0) fail("recv of the end");
    ::close(connection.fd);
  }

  // How many messages have come back whole.
  std::uint64_t receive_ready() {
    const int capacity = static_cast<int>(ready_.size());
    const int count = checked(::epoll_wait(epoll_, ready_.data(), capacity, -1), "epoll_wait");
    std::uint64_t whole = 0;
    for (int i = 0; i < count; ++i) {
      auto& connection = *static_cast<Connection*>(ready_[static_cast<std::size_t>(i)].data.ptr);
      const ssize_t size = connection.transport.receive(received_.data(), received_.size());
      if (size <= 0) fail("recv");
      connection.received += static_cast<std::size_t>(size);
      if (connection.received < answer_) continue;
      connection.received = 0;
      whole += depth_;
      send(connection);
    }
    return whole;
  }

  int epoll_ = checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  clockid_t server_clock_ = CLOCK_MONOTONIC;
  std::uint16_t port_;
  std::uint64_t depth_;
  bool renews_;
  std::size_t answer_;  // to what is sent at once
  std::vector<char> message_;
  std::vector<char> received_;
  std::vector<Connection> connections_;
  std::uint64_t to_send_ = 0;
  std::array<epoll_event, 1024> ready_{};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5 || argc > 7) {
    std::fputs("usage: bench_client PORT SERVER_PROCESS CONNECTIONS BYTES [DEPTH [ANSWER]]\n",
               stderr);
    return 2;
  }
  raise_descriptor_limit();
  const auto number = [&](int i) { return std::strtoul(argv[i], nullptr, 10); };
  Client client(static_cast<std::uint16_t>(number(1)), static_cast<pid_t>(number(2)), number(3),
                number(4), argc > 5 ? number(5) : 1, argc > 6 ? number(6) : number(4));
  client.run(number(3));  // each connection is accepted, and has been used
  return serve(client);
}
