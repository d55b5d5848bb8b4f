// What came of a call: it worked, the system said no, or the caller broke a rule.
#pragma once

#include <system_error>

#include "event/error.hpp"

namespace event_cpp::detail {

// A std::error_code in one register, for calls that hardly ever fail and are made for each event.
class [[nodiscard]] Outcome {
 public:
  constexpr Outcome() = default;
  explicit constexpr Outcome(Errc rule) noexcept : value_(-static_cast<int>(rule)) {}

  // Zero: it worked.
  static constexpr Outcome of_errno(int error) noexcept {
    Outcome outcome;
    outcome.value_ = error;
    return outcome;
  }

  constexpr bool failed() const noexcept { return value_ != 0; }

  std::error_code code() const noexcept {
    if (value_ >= 0) return {value_, std::system_category()};
    return static_cast<Errc>(-value_);
  }

 private:
  int value_ = 0;
};

}  // namespace event_cpp::detail
