// printable(): a text of others, as a part of a message.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace event_cpp::net::detail {

// With "?" for each byte that would end the message early, or that a terminal obeys.
inline std::string printable(std::string_view text) {
  std::string shown(text);
  std::replace_if(
      shown.begin(), shown.end(),
      [](char c) { return (static_cast<unsigned char>(c) < ' ') || c == 0x7f; }, '?');
  return shown;
}

}  // namespace event_cpp::net::detail
