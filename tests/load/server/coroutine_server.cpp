// The echo server of event_load in coroutines, one task per connection by net::serve(): the example
// echo_coroutine, with the counters that echo_server has.

#include <chrono>
#include <cstdint>
#include <event/event.hpp>
#include <event/net.hpp>
#include <exception>
#include <iostream>
#include <utility>

#include "support/command_line.hpp"
#include "support/server.hpp"

namespace {

namespace co = event::co;
namespace net = event::net;

struct Statistics {
  std::uint64_t connections = 0;
  std::uint64_t received = 0;
  std::uint64_t sent = 0;  // what was begun to be sent counts as a whole
  std::uint64_t errors = 0;
};

co::Task<> echo(event::Base& base, net::Socket socket, event::Duration idle,
                Statistics& statistics) {
  ++statistics.connections;
  net::SocketStream peer(base, std::move(socket));
  peer.idle_timeout(idle);
  while (net::Chunk chunk = co_await peer.receive()) {
    statistics.received += chunk.size();
    statistics.sent += chunk.size();
    co_await peer.write(chunk);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Sends back what it receives, in coroutines.");
    support::ServerOptions options;
    std::chrono::milliseconds idle{};
    command_line.add_server(options);
    command_line.add_time("--idle", idle, "Close a connection idle for so long; 0s: never");
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    event::Base base({.backend = options.backend});
    net::Listener listener = support::listen(base, options);
    Statistics statistics;
    const auto handler = [&](event::Base& own, net::Socket socket) {
      return echo(own, std::move(socket), idle, statistics);
    };
    const auto count = [&](const std::exception_ptr&) { ++statistics.errors; };
    co::run(base, support::serve_until_stopped(listener, handler, {.on_error = count}));
    std::cout << "connections " << statistics.connections << ", received " << statistics.received
              << " bytes, sent " << statistics.sent << " bytes, errors " << statistics.errors
              << ", idle closes 0" << std::endl;
  } catch (const std::exception& error) {
    std::cerr << "coroutine_server: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
