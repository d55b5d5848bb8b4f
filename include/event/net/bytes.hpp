// Bytes and Room: buffers to write from, and to read into.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>

namespace event_cpp::net {
namespace detail {

template <class T>
concept TextPointer = std::same_as<T, const char*> || std::same_as<T, char*>;

template <class T, class Byte>
concept RangeOf = std::convertible_to<const T&, std::span<const Byte>>;

// std::vector<unsigned char>, std::span<const std::byte> and so on.
template <class T>
concept RangeOfOtherBytes = RangeOf<T, unsigned char> || RangeOf<T, signed char> ||
                            RangeOf<T, std::byte> || RangeOf<T, char8_t>;

}  // namespace detail

// Bytes to send: a span of const char that text and ranges of other bytes also convert to. The last
// zero byte of a string literal, or of another const array of char, is not included. An array that
// is not const is included as a whole: for text in it write std::string_view(array). A pointer is
// read up to the first zero byte. Owns nothing.
class Bytes : public std::span<const char> {
 public:
  using std::span<const char>::span;  // NOLINT(modernize-use-equals-default)
  // NOLINTBEGIN(google-explicit-constructor): they exist to convert.
  constexpr Bytes() noexcept = default;
  constexpr Bytes(std::span<const char> bytes) noexcept : std::span<const char>(bytes) {}
  // Constrained, since the constructor of std::span for arrays is, and would be taken otherwise.
  template <std::size_t kSize>
  requires(kSize > 0)
  constexpr Bytes(const char (&text)[kSize]) noexcept
      : Bytes(&text[0], text[kSize - 1] == '\0' ? kSize - 1 : kSize) {}
  template <std::size_t kSize>
  constexpr Bytes(char (&buffer)[kSize]) noexcept : Bytes(&buffer[0], kSize) {}
  template <std::size_t kSize>
  Bytes(const char8_t (&text)[kSize]) noexcept
      : Bytes(reinterpret_cast<const char (&)[kSize]>(text)) {}
  template <detail::TextPointer T>
  constexpr Bytes(const T& text) noexcept : Bytes(std::string_view(text)) {}
  template <std::convertible_to<std::string_view> T>
  requires(!std::convertible_to<T, const char*>)
  constexpr Bytes(const T& text) noexcept
      : Bytes(static_cast<std::string_view>(text).data(),
              static_cast<std::string_view>(text).size()) {}
  template <detail::RangeOfOtherBytes T>
  Bytes(const T& bytes) noexcept
      : Bytes(reinterpret_cast<const char*>(std::span(bytes).data()), std::span(bytes).size()) {}
  // NOLINTEND(google-explicit-constructor)

  constexpr std::string_view text() const noexcept { return {data(), size()}; }
};

// The buffer to read into. Owns nothing.
using Room = std::span<char>;

}  // namespace event_cpp::net
