// What a program is told when it is started. CLI11 reads it, in a file of its own: to compile that
// takes longer than all else in a program.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <event/event.hpp>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace support {

// What the servers have in common.
struct ServerOptions {
  std::uint16_t port = 1246;
  event::Backend backend = event::Backend::automatic;
  std::size_t max_connections = 16'384;
};

class CommandLine {
 public:
  explicit CommandLine(const std::string& description);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  // `[port]`, `--backend NAME` and `--max-connections N`.
  void add_server(ServerOptions& options);

  void add_number(const std::string& name, std::size_t& number, const std::string& description,
                  std::size_t least = 0,
                  std::size_t most = std::numeric_limits<std::size_t>::max());

  void add_text(const std::string& name, std::string& text, const std::string& description);

  // A time with its unit, such as 500ms, 60s or 5m.
  void add_time(const std::string& name, std::chrono::milliseconds& time,
                const std::string& description, std::uint32_t least = 0);

  // A command with its arguments, which must be there.
  void add_command(std::vector<std::string>& command, const std::string& description);

  // The result, if there is one, is the program's exit code: 0 after --help, 1 after an error,
  // which has been printed.
  std::optional<int> parse(int argc, char** argv);

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace support
