// Errc: whether a command was executed when its connection was lost; refused subscriptions.
#pragma once

#include <exception>
#include <string>
#include <system_error>

namespace event_cpp::redis {

enum class Errc {
  not_sent = 1,     // the server has not received the whole command: it is safe to send it again
  unknown_outcome,  // it was sent, but no reply came: the server may have executed it, or not
  refused           // the server refused to start or end a subscription: see what()
};

// The category of these codes, named "redis".
inline const std::error_category& category() noexcept {
  static const struct Category final : std::error_category {
    const char* name() const noexcept override { return "redis"; }
    std::string message(int code) const override {
      switch (static_cast<Errc>(code)) {
        case Errc::not_sent:
          return "the command was not sent";
        case Errc::refused:
          return "the server has refused it";
        default:
          return "the command was sent, and its outcome is unknown";
      }
    }
  } kCategory;
  return kCategory;
}

inline std::error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), category()};
}

namespace detail {

// Without memory it is std::bad_alloc.
inline std::exception_ptr error(std::error_code code, const char* why) noexcept {
  try {
    return std::make_exception_ptr(std::system_error(code, why));
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace detail
}  // namespace event_cpp::redis

template <>
struct std::is_error_code_enum<event_cpp::redis::Errc> : std::true_type {};
