// A TCP proxy: what comes from a client goes to a server, and back. The end of one direction is
// passed on, and the other goes on. A side that does not read stops the other one, so it keeps no
// more than what is on its way. Idle connections are closed.
//
// Try it:   proxy 8080 --to example.org --to-port 80 --idle 60s
//           curl -H 'Host: example.org' http://localhost:8080/

#include <chrono>
#include <cstddef>
#include <event/event.hpp>
#include <event/net.hpp>
#include <exception>
#include <iostream>
#include <string>
#include <utility>

#include "support/command_line.hpp"
#include "support/server.hpp"

namespace {

namespace co = event::co;
namespace net = event::net;

struct Settings {
  std::string host = "localhost";
  std::size_t port = 80;
  std::chrono::milliseconds connect{10'000};
  std::chrono::milliseconds idle{60'000};
  std::chrono::milliseconds grace{};
};

co::Task<> forward(event::Base& base, net::Socket client, const Settings& settings) {
  net::SocketStream near(base, std::move(client));
  net::Socket server =
      co_await net::connect(settings.host, static_cast<int>(settings.port), settings.connect);
  net::SocketStream far(base, std::move(server));
  near.idle_timeout(settings.idle);
  far.idle_timeout(settings.idle);
  co_await co::when_all(net::copy(near, far), net::copy(far, near));
}

// Connections end in many ways that are nothing unusual. Why one did not begin is worth a line.
void report(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    std::cerr << "proxy: " << error.what() << std::endl;
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Passes connections on to a server.");
    support::ServerOptions options;
    Settings settings;
    command_line.add_server(options);
    command_line.add_text("--to", settings.host, "The server: a name or an address");
    command_line.add_number("--to-port", settings.port, "Its port", 1, 65535);
    command_line.add_time("--connect", settings.connect, "Connect to it within so long", 1);
    command_line.add_time("--idle", settings.idle, "Close what is idle for so long; 0s: never");
    command_line.add_time("--grace", settings.grace,
                          "At a signal, connections have so long to end");
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    event::Base base({.backend = options.backend});
    net::Listener listener = support::listen(base, options);
    const auto handler = [&settings](event::Base& own, net::Socket client) {
      return forward(own, std::move(client), settings);
    };
    co::run(base, support::serve_until_stopped(listener, handler,
                                               {.grace = settings.grace, .on_error = report}));
  } catch (const std::exception& error) {
    std::cerr << "proxy: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
