// Error codes of the library itself. All other errors are the system's.
#pragma once

#include <system_error>

#include "event/detail/export.hpp"
#include "event/fwd.hpp"

namespace event_cpp {

enum class Errc {
  already_attached = 1,  // the event is attached: detach it first
  nothing_to_wait_for,   // the event has neither a condition nor a timeout
  descriptor_missing,    // the event has a condition of a descriptor, but its fd is negative
  reentered,             // dispatch() or loop() was called from a callback of the same base
  unsupported,           // the backend lacks a requested option, or the options exclude each other
  deadlock,   // co::run(): the task has not ended, and nothing is left that could wake it
  truncated,  // the stream ended in the middle of a message
  torn,       // an earlier write was given up half-way: nothing can be sent any more
  too_long    // a line, or the text before a delimiter, is longer than the limit
};

// The category of these codes, named "event".
EVENT_API const std::error_category& category() noexcept;

// Lets Errc convert to std::error_code, and compare with one.
inline std::error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), category()};
}

}  // namespace event_cpp

template <>
struct std::is_error_code_enum<event_cpp::Errc> : std::true_type {};
