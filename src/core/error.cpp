#include "event/error.hpp"

#include <string>

namespace event_cpp {
namespace {

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "event"; }

  std::string message(int code) const override {
    switch (static_cast<Errc>(code)) {
      case Errc::already_attached:
        return "the event is attached already";
      case Errc::invalid_event:
        return "nothing to wait for, a negative time, or a descriptor that is missing";
      case Errc::reentered:
        return "dispatch() called in a callback of the same base";
      case Errc::unsupported:
        return "not supported here";
    }
    return "unknown error";
  }
};

}  // namespace

const std::error_category& category() noexcept {
  static const Category instance;
  return instance;
}

}  // namespace event_cpp
