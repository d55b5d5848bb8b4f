// The environment variable that names a backend.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>

namespace event_cpp::test {

// EVENT_BACKEND has this value, or is not set, while this lives.
class BackendVariable {
 public:
  explicit BackendVariable(const char* value) {
    if (const char* before = std::getenv(kName)) before_ = before;
    set(value);
  }
  ~BackendVariable() { set(before_ ? before_->c_str() : nullptr); }
  BackendVariable(const BackendVariable&) = delete;
  BackendVariable& operator=(const BackendVariable&) = delete;

 private:
  static constexpr const char* kName = "EVENT_BACKEND";

  static void set(const char* value) {
    if (value != nullptr) {
      ::setenv(kName, value, 1);
    } else {
      ::unsetenv(kName);
    }
  }

  std::optional<std::string> before_;
};

}  // namespace event_cpp::test
