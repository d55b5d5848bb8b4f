// The command line of a program, by CLI11.
#include "support/command_line.hpp"

#include <CLI/CLI.hpp>
#include <map>

namespace support {

CommandLine::CommandLine(const std::string& description)
    : app_(std::make_unique<CLI::App>(description)) {}

CommandLine::~CommandLine() = default;

void CommandLine::add_server(ServerOptions& options) {
  static const std::map<std::string, event::Backend> kBackends = {
      {"automatic", event::Backend::automatic},
      {"epoll", event::Backend::epoll},
      {"kqueue", event::Backend::kqueue},
      {"poll", event::Backend::poll}};
  app_->add_option("port", options.port, "Port to listen on; 0 for any that is free")
      ->capture_default_str()
      ->check(CLI::Range(0, 65535));
  app_->add_option_function<std::string>(
          "--backend",
          [&options](const std::string& name) { options.backend = kBackends.at(name); },
          "Kernel interface to use")
      ->check(CLI::IsMember(&kBackends));
  add_number("--max-connections", options.max_connections, "Let others wait while so many are open",
             1);
}

void CommandLine::add_number(const std::string& name, std::size_t& number,
                             const std::string& description, std::size_t least, std::size_t most) {
  CLI::Option* const option = app_->add_option(name, number, description)->capture_default_str();
  if (most != std::numeric_limits<std::size_t>::max()) {
    option->check(CLI::Range(least, most));
  } else if (least == 1) {
    option->check(CLI::PositiveNumber);
  }
}

void CommandLine::add_text(const std::string& name, std::string& text,
                           const std::string& description) {
  app_->add_option(name, text, description)->capture_default_str();
}

void CommandLine::add_time(const std::string& name, std::chrono::milliseconds& time,
                           const std::string& description, std::uint32_t least) {
  static const std::map<std::string, std::uint32_t> kUnits = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  const auto keep = [&time](std::uint32_t count) { time = std::chrono::milliseconds(count); };
  CLI::Option* const option =
      app_->add_option_function<std::uint32_t>(name, keep, description)
          ->transform(CLI::AsNumberWithUnit(kUnits, CLI::AsNumberWithUnit::UNIT_REQUIRED, "TIME"));
  if (least > 0) option->check(CLI::Range(least, std::numeric_limits<std::uint32_t>::max()));
}

void CommandLine::add_command(std::vector<std::string>& command, const std::string& description) {
  app_->add_option("command", command, description)->required();
}

std::optional<int> CommandLine::parse(int argc, char** argv) {
  try {
    app_->parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    return app_->exit(error) == 0 ? 0 : 1;
  }
}

}  // namespace support
