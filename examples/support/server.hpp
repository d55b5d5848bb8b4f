// What the servers have in common: listening as the command line says, and stopping at a signal.
#pragma once

#include <chrono>
#include <csignal>
#include <event/net.hpp>
#include <iostream>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include "command_line.hpp"

namespace support {

// Listens on every address of this machine. Errors: throws std::system_error, which names the port.
inline event::net::Listener listen(event::Base& base, const ServerOptions& options) {
  event::net::ListenOptions how;
  how.most = options.max_connections;
  try {
    return {base, event::net::Address::any(options.port), how};
  } catch (const std::system_error& error) {
    throw std::system_error(error.code(), "port " + std::to_string(options.port));
  }
}

// Says which port that is, and about once a second if there are no descriptors for connections.
inline void announce(event::net::Listener& listener) {
  const int port = listener.address().port();
  std::cout << "listening on port " << port << std::endl;
  const auto next = std::make_shared<event::TimePoint>();
  listener.on_error([&base = listener.base(), next](std::error_code error) {
    if (base.now() < *next) return;
    *next = base.now() + std::chrono::seconds(1);
    try {
      std::cerr << "accept: " + error.message() + "; new connections wait\n";
    } catch (const std::bad_alloc&) {
      std::cerr << "accept: no memory; new connections wait\n";
    }
  });
}

// Ends at the first SIGINT or SIGTERM. The next one ends the program at once: without the last two
// lines it would be handled, and nobody would wait for it.
inline event::co::Task<> stop_signal() {
  co_await event::co::when_any(event::co::signal(SIGINT), event::co::signal(SIGTERM));
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

inline event::co::Task<> announce_and_serve(event::net::Listener& listener,
                                            event::net::Handler handler,
                                            event::net::ServeOptions options) {
  announce(listener);
  co_await event::net::serve(listener, std::move(handler), std::move(options));
}

// Serves until then, and as long as the grace period says.
inline event::co::Task<> serve_until_stopped(event::net::Listener& listener,
                                             event::net::Handler handler,
                                             event::net::ServeOptions options) {
  // Waits for signals before it says that it is there.
  co_await event::co::when_any(
      stop_signal(), announce_and_serve(listener, std::move(handler), std::move(options)));
}

}  // namespace support
