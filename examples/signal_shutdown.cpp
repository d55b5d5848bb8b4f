// A graceful stop. The server answers each line after a while, as if it had work to do. The first
// SIGINT or SIGTERM closes the listener and every connection that has asked for nothing; the others
// get their answers first, and with the last of them dispatch() returns: exit status 0. A second
// signal drops those that are left, at once: exit status 1. Lines are read when those before are
// answered: of one client it keeps at most 128 KiB, and the answer to one line.
//
// Try it:   signal_shutdown --delay 5s     and in another terminal:   nc localhost 1246
//           say something there, and press Ctrl-C here before the answer comes

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
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

namespace {

namespace net = event::net;

constexpr std::size_t kMaxLine = std::size_t{64} * 1024;

class Server;

// One client. It is either receiving, or working on a line, or sending the answer.
class Connection {
 public:
  // Errors: throws std::system_error if the kernel has no room to watch one more descriptor.
  Connection(Server& server, net::Socket socket);

  // Ends when all that has been asked is answered, so perhaps now.
  void drain() {
    if (receiving_) receive();
  }

 private:
  void receive();
  void next();
  void answer();
  void send();

  Server& server_;
  std::string received_;  // lines to work on, and the beginning of one more
  std::string unsent_;
  bool receiving_ = false;
  bool end_ = false;  // the client will not ask for more
  net::SocketStream stream_;
  event::Timer work_;
};

class Server {
 public:
  Server(event::Base& base, const support::ServerOptions& options, event::Duration delay)
      : listener_(support::listen(base, options)),
        delay_(delay),
        max_connections_(options.max_connections) {
    accept();
  }

  net::Listener& listener() noexcept { return listener_; }
  event::Base& base() noexcept { return listener_.base(); }
  event::Duration delay() const noexcept { return delay_; }
  std::size_t size() const noexcept { return connections_.size(); }

  // Connections take turns with it: nobody keeps what is in it after its callback.
  net::Room buffer() noexcept { return buffer_; }

  // Ends a connection, also from its own callback, which must then return.
  void close(int fd) {
    connections_.erase(fd);
    if (!draining_ && connections_.size() + 1 == max_connections_) accept();
  }

  bool draining() const noexcept { return draining_; }
  void drain() {
    draining_ = true;
    listener_.close();
    for (auto next = connections_.begin(); next != connections_.end();) {
      Connection& connection = next->second;
      ++next;  // it may be erased
      connection.drain();
    }
  }

 private:
  void accept() {
    listener_.on_accept([this](net::Socket socket) { add(std::move(socket)); });
  }

  void add(net::Socket socket) {
    try {
      connections_.try_emplace(socket.fd(), *this, std::move(socket));
    } catch (const std::system_error&) {
      return;  // the socket is closed
    }
    if (connections_.size() >= max_connections_) listener_.on_accept({});
  }

  net::Listener listener_;
  event::Duration delay_;
  std::size_t max_connections_;
  bool draining_ = false;
  std::array<char, std::size_t{64} * 1024> buffer_;
  std::unordered_map<int, Connection> connections_;  // by descriptor
};

Connection::Connection(Server& server, net::Socket socket)
    : server_(server),
      stream_(server.base(), std::move(socket)),
      work_(server.base(), [this] { answer(); }) {
  next();
}

void Connection::receive() {
  const net::Io got = stream_.try_read(server_.buffer());
  if (got < 0 && got != net::kWouldBlock) return server_.close(stream_.fd());
  if (got > 0) received_.append(server_.buffer().data(), static_cast<std::size_t>(got));
  end_ = got == 0;
  next();
}

// Works on the next line, and does not listen meanwhile; without one it listens, or is done.
void Connection::next() {
  if (received_.find('\n') != std::string::npos) {
    receiving_ = false;
    stream_.on_readable({});
    work_.attach(server_.delay());
    return;
  }
  const bool done = end_ || server_.draining() || received_.size() > kMaxLine;
  if (done) return server_.close(stream_.fd());
  if (receiving_) return;
  receiving_ = true;
  stream_.on_readable([this] { receive(); });
}

void Connection::answer() {
  const std::size_t size = received_.find('\n') + 1;
  unsent_ = "done: " + received_.substr(0, size);
  received_.erase(0, size);
  stream_.on_writable([this] { send(); });
}

void Connection::send() {
  const net::Io sent = stream_.try_write(unsent_);
  if (sent == net::kWouldBlock) return;
  if (sent < 0) return server_.close(stream_.fd());
  unsent_.erase(0, static_cast<std::size_t>(sent));
  if (!unsent_.empty()) return;
  stream_.on_writable({});
  next();
}

// Returns the program's exit status.
int run(const support::ServerOptions& options, event::Duration delay) {
  event::Base base({.backend = options.backend});
  Server server(base, options, delay);

  bool at_once = false;
  const auto on_signal = [&] {
    if (server.draining()) {
      at_once = true;
      base.stop_now();
      return;
    }
    server.drain();
    std::cout << "stopping: " << server.size() << " connections left" << std::endl;
  };
  event::Signal interrupt(base, SIGINT, on_signal);
  event::Signal terminate(base, SIGTERM, on_signal);
  for (event::Signal* signal : {&interrupt, &terminate}) {
    // So dispatch() returns when the listener and the last connection are gone.
    signal->keep_alive(false);
    signal->attach();
  }

  support::announce(server.listener());
  base.dispatch();
  if (at_once) {
    std::cout << "stopped at once: " << server.size() << " connections dropped" << std::endl;
    return 1;
  }
  std::cout << "stopped" << std::endl;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line(
        "Answers each line after a while, and stops when all are answered.");
    support::ServerOptions options;
    std::chrono::milliseconds delay{1000};
    command_line.add_server(options);
    command_line.add_time("--delay", delay, "Work so long on a line, as 500ms, 60s or 5m");
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    return run(options, delay);
  } catch (const std::exception& error) {
    std::cerr << "signal_shutdown: " << error.what() << std::endl;
    return 1;
  }
}
