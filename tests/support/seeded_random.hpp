// Random choices that can be repeated: by a seed, or by the bytes that a fuzzer found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

namespace event_cpp::test {

// The seeds of the tests that compare with a model: each of them says which one it uses.
inline constexpr unsigned kSeeds[] = {1, 2, 3, 4, 5, 6};

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}

  // Each choice takes as few bytes as its number of outcomes needs. When they are used up every
  // choice is the first one, so that what loops on one_in() or below() comes to an end.
  explicit Random(std::span<const std::uint8_t> bytes) : bytes_(bytes), by_seed_(false) {}

  // From 0 on, and less than `end`.
  std::size_t below(std::size_t end) {
    return by_seed_ ? static_cast<std::size_t>(engine_()) % end : take(end) % end;
  }
  bool one_in(std::size_t n) { return below(n) == 0; }

  // True if there are no bytes left; never with a seed.
  bool used_up() const { return !by_seed_ && bytes_.empty(); }

  template <class T>
  T& of(std::vector<T>& from) {
    return from[below(from.size())];
  }

 private:
  std::size_t take(std::size_t end) {
    std::size_t value = 0;
    for (std::size_t most = end - 1; most > 0 && !bytes_.empty(); most >>= 8) {
      value = value << 8 | bytes_.front();
      bytes_ = bytes_.subspan(1);
    }
    return value;
  }

  std::mt19937_64 engine_;
  std::span<const std::uint8_t> bytes_;
  bool by_seed_ = true;
};

}  // namespace event_cpp::test
