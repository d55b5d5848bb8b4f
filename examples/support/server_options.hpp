// The command line that the servers have in common.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <event/event.hpp>
#include <map>
#include <optional>
#include <string>

namespace support {

struct ServerOptions {
  std::uint16_t port = 1246;
  event::Backend backend = event::Backend::automatic;
  std::size_t max_connections = 16'384;
};

// Adds `[port]`, `--backend NAME` and `--max-connections N`.
inline void add_server_options(CLI::App& app, ServerOptions& options) {
  static const std::map<std::string, event::Backend> kBackends = {
      {"automatic", event::Backend::automatic},
      {"epoll", event::Backend::epoll},
      {"io_uring", event::Backend::io_uring},
      {"kqueue", event::Backend::kqueue},
      {"poll", event::Backend::poll}};
  app.add_option("port", options.port, "Port to listen on; 0 for any that is free")
      ->capture_default_str()
      ->check(CLI::Range(0, 65535));
  app.add_option_function<std::string>(
         "--backend", [&options](const std::string& name) { options.backend = kBackends.at(name); },
         "Kernel interface to use")
      ->check(CLI::IsMember(&kBackends));
  app.add_option("--max-connections", options.max_connections,
                 "Let others wait while so many are open")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
}

// Parses; the result, if there is one, is the program's exit code: 0 after --help, 1 after an
// error, which has been printed.
inline std::optional<int> parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 1;
  }
}

}  // namespace support
