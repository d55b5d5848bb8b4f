// Random choices that a seed repeats.
#pragma once

#include <cstddef>
#include <random>
#include <vector>

namespace event::test {

// The seeds of the tests that compare with a model: each of them says which one it uses.
inline constexpr unsigned kSeeds[] = {1, 2, 3, 4, 5, 6};

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}

  // From 0 on, and less than `end`.
  std::size_t below(std::size_t end) { return static_cast<std::size_t>(engine_()) % end; }
  bool one_in(std::size_t n) { return below(n) == 0; }

  template <class T>
  T& of(std::vector<T>& from) {
    return from[below(from.size())];
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace event::test
