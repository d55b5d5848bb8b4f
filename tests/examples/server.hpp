// Server: one of the example servers, running on a port of its own.
#pragma once

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <event/event.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "child_process.hpp"

namespace examples_test {

inline std::string example(const std::string& name) {
  return std::string(EVENT_EXAMPLES_DIR) + "/" + name;
}

// As EVENT_BACKEND and --backend spell it.
inline std::string name_of(event::Backend backend) {
  static const std::array<const char*, 4> kNames{"automatic", "epoll", "kqueue", "poll"};
  return kNames.at(static_cast<std::size_t>(backend));
}

class Server {
 public:
  // Errors: throws std::runtime_error, with what the server said, if it does not listen.
  explicit Server(const std::string& name, const std::vector<std::string>& options = {},
                  const ChildProcess::Options& how = {})
      : process_(command(name, options), how) {
    const std::string line = process_.read_line().value_or("");
    const std::string expected = "listening on port ";
    if (line.rfind(expected, 0) != 0) {
      throw std::runtime_error(name + " says '" + line + "' " + process_.errors());
    }
    port_ = static_cast<std::uint16_t>(std::stoul(line.substr(expected.size())));
  }

  std::uint16_t port() const noexcept { return port_; }
  ChildProcess& process() noexcept { return process_; }

  // Ends it as `kill` or Ctrl-C does, and returns what it says then; nothing if it fails.
  std::optional<std::string> stop(int signal = SIGTERM) {
    process_.signal(signal);
    if (process_.wait() != 0) return std::nullopt;
    return process_.output();
  }

 private:
  static std::vector<std::string> command(const std::string& name,
                                          const std::vector<std::string>& options) {
    std::vector<std::string> all{example(name), "0"};
    all.insert(all.end(), options.begin(), options.end());
    return all;
  }

  ChildProcess process_;
  std::uint16_t port_ = 0;
};

}  // namespace examples_test
