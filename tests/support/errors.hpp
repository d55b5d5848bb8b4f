// Turns what a call throws into a value that a test compares.
#pragma once

#include <system_error>
#include <utility>

namespace event_cpp::test {

// The code of the std::system_error that `call` throws; no error if it throws nothing.
template <class F>
std::error_code thrown_by(F&& call) {
  try {
    std::forward<F>(call)();
  } catch (const std::system_error& error) {
    return error.code();
  }
  return {};
}

inline std::error_code system_error(int number) { return {number, std::system_category()}; }

}  // namespace event_cpp::test
