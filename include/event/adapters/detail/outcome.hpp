// Outcome: the argument of an adapter's callbacks.
#pragma once

#include <exception>
#include <utility>
#include <variant>

namespace event_cpp::adapters {

// A value, or the exception that a task would have got instead. V is std::monostate for a request
// without a value. (net::Outcome is another type.)
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
