// A TCP server that sends back what it receives: one object per connection, reading paused while
// the peer does not take its answer, an idle timeout, and a clean stop. Of a peer that does not
// read it keeps at most one read, 64 KiB, and it has at most --max-connections of them; --idle ends
// those that do nothing.
//
// Try it:   echo_server          and in another terminal:   nc localhost 1246
//           echo_server 7777 --idle 60s --backend poll

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <event/event.hpp>
#include <exception>
#include <iostream>
#include <span>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "support/acceptor.hpp"
#include "support/command_line.hpp"
#include "support/outbox.hpp"
#include "support/stop_on_signal.hpp"

namespace {

using event::Events;

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
  Connection(Server& server, UniqueFd fd);

  // Errors: the kernel has no room to watch one more descriptor.
  [[nodiscard]] std::error_code start();

 private:
  void on_ready(Events fired);
  void wait_for(Events conditions);
  void receive();
  void send_rest();

  Server& server_;
  support::Outbox unsent_;
  UniqueFd fd_;         // closed last,
  event::Event ready_;  // after the event was destroyed
};

class Server {
 public:
  Server(event::Base& base, UniqueFd listener, event::Duration idle, std::size_t max_connections)
      : base_(base),
        idle_(idle),
        acceptor_(
            base, std::move(listener), [this](UniqueFd fd) { add(std::move(fd)); },
            max_connections) {}

  event::Base& base() noexcept { return base_; }
  event::Duration idle() const noexcept { return idle_; }
  Statistics& statistics() noexcept { return statistics_; }

  // Connections take turns with it: nobody keeps what is in it after its callback.
  std::span<char> buffer() noexcept { return buffer_; }

  // Ends a connection, also from its own callback, which must then return.
  void close(int fd) {
    connections_.erase(fd);
    acceptor_.resume();
  }
  void fail(int fd) {
    ++statistics_.errors;
    close(fd);
  }

 private:
  void add(UniqueFd fd) {
    ++statistics_.connections;
    support::send_without_delay(fd.get());
    const int number = fd.get();
    const auto [place, is_new] = connections_.try_emplace(number, *this, std::move(fd));
    if (place->second.start()) fail(number);
  }

  event::Base& base_;
  event::Duration idle_;
  Statistics statistics_;
  std::array<char, 64 * 1024> buffer_;
  // By descriptor; the nodes of this map stay where they are, as an event must.
  std::unordered_map<int, Connection> connections_;
  support::Acceptor acceptor_;
};

Connection::Connection(Server& server, UniqueFd fd)
    : server_(server),
      fd_(std::move(fd)),
      ready_(server.base(), fd_.get(), Events::read | Events::persist,
             [this](Events fired) { on_ready(fired); }) {}

// Each time the event fires its timeout starts anew, and zero means none: this is all there is to
// an idle timeout.
std::error_code Connection::start() { return ready_.try_attach(server_.idle()); }

void Connection::on_ready(Events fired) {
  if (any(fired & Events::read)) return receive();
  if (any(fired & Events::write)) return send_rest();
  ++server_.statistics().idle;
  server_.close(fd_.get());
}

// The kernel is told before the next wait, and not at all if nothing has changed by then.
void Connection::wait_for(Events conditions) {
  if (ready_.try_modify(conditions | Events::persist)) server_.fail(fd_.get());
}

void Connection::receive() {
  const support::Received got = support::receive(fd_.get(), server_.buffer());
  if (got.error) return server_.fail(fd_.get());
  // The peer may only have closed its half, and still read; but all it sent has been answered, or
  // this would not be receiving.
  if (got.end) return server_.close(fd_.get());

  std::string_view rest = got.bytes;
  const std::error_code error = support::send_some(fd_.get(), rest);
  server_.statistics().received += got.bytes.size();
  server_.statistics().sent += got.bytes.size() - rest.size();
  if (error) return server_.fail(fd_.get());
  if (rest.empty()) return;

  // The peer sends faster than it reads: it gets no further until it has caught up.
  unsent_.append(rest);
  wait_for(Events::write);
}

void Connection::send_rest() {
  std::size_t sent = 0;
  const std::error_code error = unsent_.flush(fd_.get(), sent);
  server_.statistics().sent += sent;
  if (error) return server_.fail(fd_.get());
  if (unsent_.empty()) wait_for(Events::read);
}

void print(const Statistics& s) {
  std::cout << "connections " << s.connections << ", received " << s.received << " bytes, sent "
            << s.sent << " bytes, errors " << s.errors << ", idle closes " << s.idle << std::endl;
}

void run(const support::ServerOptions& options, event::Duration idle) {
  event::Base base({.backend = options.backend});
  UniqueFd listener = support::listen_on(options.port);
  const int port = support::port_of(listener.get());
  Server server(base, std::move(listener), idle, options.max_connections);
  const support::StopOnSignal stop(base);

  std::cout << "listening on port " << port << std::endl;
  base.dispatch();
  print(server.statistics());
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

    run(options, idle);
  } catch (const std::exception& error) {
    std::cerr << "echo_server: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
