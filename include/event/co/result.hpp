// Result: a value or an error, for calls that do not throw.
#pragma once

#include <system_error>

namespace event_cpp::co {

// What most calls return whose names begin with try_. `value` is the result if there is no error.
template <class T>
struct [[nodiscard]] Result {
  T value{};
  std::error_code error;

  explicit operator bool() const noexcept { return !error; }
};

}  // namespace event_cpp::co
