// Numbers in messages.
#pragma once

#include <array>
#include <cstddef>
#include <cstdio>
#include <string>

namespace event_cpp::detail {

// Not std::to_string(): the shared library would export a table of the standard library's.
inline std::string to_text(long long number) {
  std::array<char, 24> digits{};
  const int size = std::snprintf(digits.data(), digits.size(), "%lld", number);
  return {digits.data(), static_cast<std::size_t>(size)};
}

}  // namespace event_cpp::detail
