// Bytes and Room: what is written, and where to read to.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>

namespace event_cpp::net {

// Bytes that are sent: a span of const char that can also be made from text. A string literal is
// taken without its terminating zero. Owns nothing.
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

// Where received bytes go. Owns nothing.
using Room = std::span<char>;

}  // namespace event_cpp::net
