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
        return "the event is attached already: detach it first";
      case Errc::nothing_to_wait_for:
        return "nothing to wait for: give the event a condition, or attach() a timeout";
      case Errc::descriptor_missing:
        return "a condition of a descriptor, but the descriptor is negative: give one to the "
               "constructor or to assign()";
      case Errc::reentered:
        return "dispatch() or loop() called in a callback of the same base: return from the "
               "callback first";
      case Errc::unsupported:
        return "the backend or the system lacks what was asked for, or the options exclude each "
               "other: choose other options or another backend";
      case Errc::deadlock:
        return "the task waits, and nothing is left that could wake it";
      case Errc::truncated:
        return "the stream ended in the middle of a message";
      case Errc::torn:
        return "an earlier write was given up half-way, so nothing can be sent any more";
      case Errc::too_long:
        return "longer than the limit for a line, or for what comes before a delimiter";
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
