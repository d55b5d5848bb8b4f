// A TCP server that sends back what it receives, in coroutines: a task per connection. Of a peer
// that does not read it keeps at most one read, 64 KiB. At the first SIGINT or SIGTERM it accepts
// no more, and those that are connected have a grace period.
//
// Try it:   echo_coroutine --idle 60s --grace 5s      and in another terminal:   nc localhost 1246

#include <chrono>
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

co::Task<> echo(event::Base& base, net::Socket socket, event::Duration idle) {
  net::SocketStream peer(base, std::move(socket));
  peer.idle_timeout(idle);
  while (net::Chunk chunk = co_await peer.receive()) co_await peer.write(chunk);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Sends back what it receives.");
    support::ServerOptions options;
    std::chrono::milliseconds idle{};
    std::chrono::milliseconds grace{};
    command_line.add_server(options);
    command_line.add_time("--idle", idle, "Close a connection idle for so long; 0s: never");
    command_line.add_time("--grace", grace, "At a signal, connections have so long to end");
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    event::Base base({.backend = options.backend});
    net::Listener listener = support::listen(base, options);
    const auto handler = [idle](event::Base& own, net::Socket socket) {
      return echo(own, std::move(socket), idle);
    };
    co::run(base, support::serve_until_stopped(listener, handler, {.grace = grace}));
  } catch (const std::exception& error) {
    std::cerr << "echo_coroutine: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
