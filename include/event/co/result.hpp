// Result: a value or an error, for operations that do not throw.
#pragma once

#include <system_error>

namespace event_cpp::co {

// The result of most awaited operations whose names begin with try_. `value` is the result if
// `error` is empty.
template <class T>
struct [[nodiscard]] Result {
  T value{};
  std::error_code error;

  explicit operator bool() const noexcept { return !error; }
};

}  // namespace event_cpp::co
