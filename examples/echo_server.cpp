// A TCP server that sends back what it receives, by callbacks: one object per connection, reading
// paused while the peer does not take its answer, an idle timeout, and a clean stop. Of a peer that
// does not read it keeps at most one read, 64 KiB, and it has at most --max-connections of them;
// --idle ends those that do nothing. echo_coroutine does the same in fewer lines.
//
// Try it:   echo_server          and in another terminal:   nc localhost 1246
//           echo_server 7777 --idle 60s --backend poll

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <event/event.hpp>
#include <event/net.hpp>
#include <exception>
#include <iostream>
#include <string>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "support/command_line.hpp"
#include "support/server.hpp"
#include "support/stop_on_signal.hpp"

namespace {

namespace net = event::net;

struct Statistics {
  std::uint64_t connections = 0;
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
  std::uint64_t errors = 0;
  std::uint64_t idle = 0;
};

class Server;

// One client. It is either receiving, or, while the client has not taken the last answer, sending:
// never both. So it holds at most one read's worth of bytes, and none while it waits for a request.
class Connection {
 public:
  // Errors: throws std::system_error if the kernel has no room to watch one more descriptor.
  Connection(Server& server, net::Socket socket);

 private:
  void receive();
  void send_rest();
  void listen();

  Server& server_;
  net::SocketStream stream_;
  std::string unsent_;
};

class Server {
 public:
  Server(event::Base& base, const support::ServerOptions& options, event::Duration idle)
      : listener_(support::listen(base, options)),
        idle_(idle),
        max_connections_(options.max_connections) {
    support::announce(listener_);
    accept();
  }

  event::Base& base() noexcept { return listener_.base(); }
  event::Duration idle() const noexcept { return idle_; }
  Statistics& statistics() noexcept { return statistics_; }

  // Connections take turns with it: nobody keeps what is in it after its callback.
  net::Room buffer() noexcept { return buffer_; }

  // Ends a connection, also from its own callback, which must then return. `result` is that of the
  // call that ended it: zero if the peer has closed.
  void close(int fd, net::Io result) {
    const std::error_code error = net::to_error(result);
    if (error == std::errc::timed_out) {
      ++statistics_.idle;
    } else if (error) {
      ++statistics_.errors;
    }
    connections_.erase(fd);
    if (connections_.size() + 1 == max_connections_) accept();
  }

 private:
  void accept() {
    listener_.on_accept([this](net::Socket socket) { add(std::move(socket)); });
  }

  void add(net::Socket socket) {
    ++statistics_.connections;
    try {
      connections_.try_emplace(socket.fd(), *this, std::move(socket));
    } catch (const std::system_error&) {
      ++statistics_.errors;
    }
    // Others wait in the kernel's queue.
    if (connections_.size() >= max_connections_) listener_.on_accept({});
  }

  net::Listener listener_;
  event::Duration idle_;
  std::size_t max_connections_;
  Statistics statistics_;
  std::array<char, std::size_t{64} * 1024> buffer_;
  std::unordered_map<int, Connection> connections_;  // by descriptor
};

Connection::Connection(Server& server, net::Socket socket)
    : server_(server), stream_(server.base(), std::move(socket)) {
  stream_.idle_timeout(server.idle());
  listen();
}

void Connection::listen() {
  stream_.on_readable([this] { receive(); });
}

void Connection::receive() {
  const net::Io got = stream_.try_read(server_.buffer());
  if (got == net::kWouldBlock) return;
  // At the end the peer may only have closed its half, and still read; but all it sent has been
  // answered, or this would not be receiving.
  if (got <= 0) return server_.close(stream_.fd(), got);

  const net::Bytes bytes = server_.buffer().first(static_cast<std::size_t>(got));
  server_.statistics().received += bytes.size();
  net::Io sent = stream_.try_write(bytes);
  if (sent == net::kWouldBlock) sent = 0;
  if (sent < 0) return server_.close(stream_.fd(), sent);
  server_.statistics().sent += static_cast<std::uint64_t>(sent);
  if (sent == got) return;

  // The peer sends faster than it reads: it gets no further until it has caught up.
  unsent_ = bytes.text().substr(static_cast<std::size_t>(sent));
  stream_.on_readable({});
  stream_.on_writable([this] { send_rest(); });
}

void Connection::send_rest() {
  const net::Io sent = stream_.try_write(unsent_);
  if (sent == net::kWouldBlock) return;
  if (sent < 0) return server_.close(stream_.fd(), sent);
  server_.statistics().sent += static_cast<std::uint64_t>(sent);
  unsent_.erase(0, static_cast<std::size_t>(sent));
  if (!unsent_.empty()) return;

  unsent_ = std::string();
  stream_.on_writable({});
  listen();
}

void print(const Statistics& s) {
  std::cout << "connections " << s.connections << ", received " << s.received << " bytes, sent "
            << s.sent << " bytes, errors " << s.errors << ", idle closes " << s.idle << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Sends back what it receives.");
    support::ServerOptions options;
    std::chrono::milliseconds idle{};
    command_line.add_server(options);
    command_line.add_time("--idle", idle,
                          "Close a connection idle for so long, as 500ms, 60s or 5m; 0s: never");
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    event::Base base({.backend = options.backend});
    const support::StopOnSignal stop(base);
    Server server(base, options, idle);
    base.dispatch();
    print(server.statistics());
  } catch (const std::exception& error) {
    std::cerr << "echo_server: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
