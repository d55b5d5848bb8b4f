// Outcome: what a callback of an adapter gets.
#pragma once

#include <exception>
#include <utility>
#include <variant>

namespace event_cpp::adapters {

// A value, or what a task would have thrown instead. (net::Outcome: how a program has ended.) For a
// request without a value V is std::monostate.
template <class V>
struct [[nodiscard]] Outcome {
  V value{};
  std::exception_ptr error;  // null: none

  explicit operator bool() const noexcept { return error == nullptr; }

  // Returns the value, or throws the error.
  V take() {
    if (error != nullptr) std::rethrow_exception(error);
    return std::move(value);
  }
};

}  // namespace event_cpp::adapters
