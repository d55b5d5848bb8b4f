// Times on the command line, such as 500ms, 60s or 5m.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <string>

namespace support {

// Adds an option that takes a time with its unit, which is kept in milliseconds.
inline CLI::Option* add_time_option(CLI::App& app, const std::string& name,
                                    std::uint32_t& milliseconds, const std::string& description) {
  static const std::map<std::string, std::uint32_t> kUnits = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  return app.add_option(name, milliseconds, description)
      ->transform(CLI::AsNumberWithUnit(kUnits, CLI::AsNumberWithUnit::UNIT_REQUIRED, "TIME"));
}

}  // namespace support
