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
#include <cstdint>
#include <event/event.hpp>
#include <exception>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "support/acceptor.hpp"
#include "support/command_line.hpp"
#include "support/outbox.hpp"

namespace {

using event::Events;

constexpr std::size_t kMaxLine = 64 * 1024;

class Server;

// One client. It is either receiving, or working on a line, or sending the answer.
class Connection {
 public:
  Connection(Server& server, UniqueFd fd);

  // Errors: the kernel has no room to watch one more descriptor.
  [[nodiscard]] std::error_code start() { return ready_.try_attach(); }

  // Ends when all that has been asked is answered, so perhaps now.
  void drain() {
    if (any(ready_.events() & Events::read)) receive();
  }

 private:
  bool wait_for(Events conditions);
  void receive();
  void next();
  void answer();
  void send();

  Server& server_;
  std::string received_;  // lines to work on, and the beginning of one more
  support::Outbox unsent_;
  bool end_ = false;    // the client will not ask for more
  UniqueFd fd_;         // closed last,
  event::Event ready_;  // after the event was destroyed
  event::Timer work_;
};

class Server {
 public:
  Server(event::Base& base, UniqueFd listener, event::Duration delay, std::size_t max_connections)
      : base_(base), delay_(delay) {
    acceptor_.emplace(
        base, std::move(listener), [this](UniqueFd fd) { add(std::move(fd)); }, max_connections);
  }

  event::Base& base() noexcept { return base_; }
  event::Duration delay() const noexcept { return delay_; }
  std::size_t size() const noexcept { return connections_.size(); }

  // Connections take turns with it: nobody keeps what is in it after its callback.
  std::span<char> buffer() noexcept { return buffer_; }

  // Ends a connection, also from its own callback, which must then return.
  void close(int fd) {
    connections_.erase(fd);
    if (acceptor_) acceptor_->resume();
  }

  bool draining() const noexcept { return !acceptor_; }
  void drain() {
    acceptor_.reset();
    for (auto next = connections_.begin(); next != connections_.end();) {
      Connection& connection = next->second;
      ++next;  // it may be erased
      connection.drain();
    }
  }

 private:
  void add(UniqueFd fd) {
    support::send_without_delay(fd.get());
    const int number = fd.get();
    const auto [place, is_new] = connections_.try_emplace(number, *this, std::move(fd));
    if (place->second.start()) close(number);
  }

  event::Base& base_;
  event::Duration delay_;
  std::array<char, 64 * 1024> buffer_;
  // By descriptor; the nodes of this map stay where they are, as an event must.
  std::unordered_map<int, Connection> connections_;
  std::optional<support::Acceptor> acceptor_;  // none: draining
};

Connection::Connection(Server& server, UniqueFd fd)
    : server_(server),
      fd_(std::move(fd)),
      ready_(server.base(), fd_.get(), Events::read | Events::persist,
             [this](Events fired) { any(fired & Events::read) ? receive() : send(); }),
      work_(server.base(), [this] { answer(); }) {}

// False: the connection is gone.
bool Connection::wait_for(Events conditions) {
  const bool failed = static_cast<bool>(ready_.try_modify(conditions | Events::persist));
  if (failed) server_.close(fd_.get());
  return !failed;
}

void Connection::receive() {
  const support::Received got = support::receive(fd_.get(), server_.buffer());
  if (got.error) return server_.close(fd_.get());
  received_.append(got.bytes);
  end_ = got.end;
  next();
}

// Works on the next line, and does not listen meanwhile; without one it listens, or is done.
void Connection::next() {
  if (received_.find('\n') != std::string::npos) {
    if (wait_for(Events::none)) work_.attach(server_.delay());
    return;
  }
  const bool done = end_ || server_.draining() || received_.size() > kMaxLine;
  if (done) return server_.close(fd_.get());
  wait_for(Events::read);
}

void Connection::answer() {
  const std::size_t size = received_.find('\n') + 1;
  unsent_.append("done: " + received_.substr(0, size));
  received_.erase(0, size);
  send();
}

void Connection::send() {
  std::size_t sent = 0;
  if (unsent_.flush(fd_.get(), sent)) return server_.close(fd_.get());
  if (unsent_.empty()) return next();
  wait_for(Events::write);
}

// Returns the program's exit status.
int run(const support::ServerOptions& options, event::Duration delay) {
  event::Base base({.backend = options.backend});
  UniqueFd listener = support::listen_on(options.port);
  const int port = support::port_of(listener.get());
  Server server(base, std::move(listener), delay, options.max_connections);

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

  std::cout << "listening on port " << port << std::endl;
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
