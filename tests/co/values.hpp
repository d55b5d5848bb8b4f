// Tasks that give a value, or throw.
#pragma once

#include <stdexcept>

#include "co/support.hpp"

namespace event_cpp::test {

inline co::Task<int> gives_after(int value, Duration delay) {
  co_await co::sleep(delay);
  co_return value;
}

inline co::Task<int> gives_at_once(int value) { co_return value; }

inline co::Task<int> throws_after(Duration delay) {
  co_await co::sleep(delay);
  throw std::runtime_error("thrown");
}

inline co::Task<int> throws_at_once() {
  throw std::runtime_error("thrown");
  co_return 0;
}

// Goes on though it was cancelled, and gives a value.
inline co::Task<int> gives_anyway(int value) {
  try {
    co_await co::sleep(1h);
  } catch (const std::system_error&) {
  }
  co_return value;
}

inline co::Task<int> fails_to_clean_up() {
  try {
    co_await co::sleep(1h);
  } catch (const std::system_error&) {
    throw std::runtime_error("clean-up");
  }
  co_return 0;
}

}  // namespace event_cpp::test
