// Material: the bytes that clients send, and know when they come back.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <string_view>

namespace load {

// An endless stream of pseudo-random bytes for each starting point. It is one block over and over,
// so sending and comparing cost no copy; a byte that is lost, doubled, changed or someone else's
// shifts or breaks the match for all that follows.
class Material {
 public:
  // A prime, so that a loss of a round number of bytes does not come out even.
  static constexpr std::size_t kPeriod = 1'048'573;
  static constexpr std::size_t kLongest = 64 * 1024;  // what one view can show

  explicit Material(std::uint64_t seed) : bytes_(kPeriod + kLongest, '\0') {
    std::mt19937_64 random(seed);
    for (std::size_t i = 0; i < kPeriod; ++i) bytes_[i] = static_cast<char>(random() & 0xff);
    std::copy_n(bytes_.begin(), kLongest, bytes_.begin() + kPeriod);
  }

  // What the stream that starts at `start` has from byte `offset` on.
  // Requires: size <= kLongest.
  std::string_view at(std::uint64_t start, std::uint64_t offset, std::size_t size) const {
    return {bytes_.data() + (start + offset) % kPeriod, size};
  }

  bool matches(std::uint64_t start, std::uint64_t offset, std::string_view got) const {
    return at(start, offset, got.size()) == got;
  }

 private:
  std::string bytes_;
};

}  // namespace load
