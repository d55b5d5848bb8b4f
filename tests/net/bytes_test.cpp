// Bytes: how much each kind of argument is.
#include "event/net/bytes.hpp"

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "event/net/chunk.hpp"
#include "gtest/gtest.h"

namespace event_cpp::test {
namespace {

using net::Bytes;
using namespace std::string_view_literals;

// As a parameter, where the argument is converted.
std::string_view text_of(Bytes bytes) { return bytes.text(); }

TEST(BytesTest, AreALiteralWithoutTheZeroAtItsEnd) {
  EXPECT_EQ(text_of(""), ""sv);
  EXPECT_EQ(text_of("text"), "text"sv);
  EXPECT_EQ(text_of("a\0b"), "a\0b"sv);
}

TEST(BytesTest, AreAConstArrayAsALiteralIs) {
  const char text[] = "text";
  EXPECT_EQ(text_of(text), "text"sv);
  const char magic[4] = {'P', 'N', 'G', '!'};
  EXPECT_EQ(text_of(magic), "PNG!"sv);
  const char record[5] = {22, 3, 1, 0, 5};
  EXPECT_EQ(text_of(record).size(), 5U);
}

TEST(BytesTest, AreAllOfABuffer) {
  char buffer[8] = "text";
  EXPECT_EQ(text_of(buffer), "text\0\0\0\0"sv);
  EXPECT_EQ(text_of(std::string_view(buffer)), "text"sv);
  std::array<char, 4> array{'a', 0, 'b', 0};
  EXPECT_EQ(text_of(array), "a\0b\0"sv);
  const std::array<char, 4> constant = array;
  EXPECT_EQ(text_of(constant), "a\0b\0"sv);
  EXPECT_EQ(text_of(std::vector<char>{'a', 0}), "a\0"sv);
  EXPECT_EQ(text_of(std::span<char>(buffer, 2)), "te"sv);
  EXPECT_EQ(text_of({buffer, 3}), "tex"sv);
  EXPECT_EQ(text_of(net::Chunk()), ""sv);
  EXPECT_EQ(text_of({}), ""sv);
}

TEST(BytesTest, ArePointersUpToTheFirstZero) {
  char buffer[8] = "text";
  EXPECT_EQ(text_of(&buffer[0]), "text"sv);
  const char* const text = "a\0b";
  EXPECT_EQ(text_of(text), "a"sv);
}

TEST(BytesTest, AreTextOfAnyType) {
  const std::string text("a\0b", 3);
  EXPECT_EQ(text_of(text), text);
  EXPECT_EQ(text_of("a\0b"sv), "a\0b"sv);
  struct Named {
    operator std::string_view() const { return "name"; }  // NOLINT(google-explicit-constructor)
  };
  EXPECT_EQ(text_of(Named()), "name"sv);
}

TEST(BytesTest, AreRangesOfOtherTypesOfByte) {
  EXPECT_EQ(text_of(std::vector<unsigned char>{'a', 0, 'b'}), "a\0b"sv);
  EXPECT_EQ(text_of(std::array<std::byte, 2>{std::byte{'x'}, std::byte{0}}), "x\0"sv);
  const unsigned char raw[3] = {'a', 'b', 0};
  EXPECT_EQ(text_of(raw), "ab\0"sv);
  EXPECT_EQ(text_of(std::span(raw).first(2)), "ab"sv);
  EXPECT_EQ(text_of(u8"text"sv), "text"sv);
  EXPECT_EQ(text_of(u8"text"), "text"sv);
  static_assert(!std::convertible_to<std::vector<int>, Bytes>);
  static_assert(!std::convertible_to<std::nullptr_t, Bytes>);
}

TEST(BytesTest, MayBeConstant) {
  static constexpr Bytes kLiteral = "text";
  static_assert(kLiteral.size() == 4);
  EXPECT_EQ(kLiteral.text(), "text");
}

}  // namespace
}  // namespace event_cpp::test
