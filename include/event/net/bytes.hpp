// Bytes and Room: buffers to write from, and to read into.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>

namespace event_cpp::net {

// Bytes to send: a span of const char that text also converts to. A string literal counts without
// its terminating zero, and ends at the first zero byte. Owns nothing.
class Bytes : public std::span<const char> {
 public:
  using std::span<const char>::span;  // NOLINT(modernize-use-equals-default)
  // NOLINTBEGIN(google-explicit-constructor): they exist to convert.
  constexpr Bytes() noexcept = default;
  constexpr Bytes(std::span<const char> bytes) noexcept : std::span<const char>(bytes) {}
  constexpr Bytes(const char* text) noexcept : Bytes(std::string_view(text)) {}
  template <std::convertible_to<std::string_view> T>
  requires(!std::convertible_to<T, const char*>)
  constexpr Bytes(const T& text) noexcept
      : Bytes(static_cast<std::string_view>(text).data(),
              static_cast<std::string_view>(text).size()) {}
  // NOLINTEND(google-explicit-constructor)

  constexpr std::string_view text() const noexcept { return {data(), size()}; }
};

// The buffer to read into. Owns nothing.
using Room = std::span<char>;

}  // namespace event_cpp::net
