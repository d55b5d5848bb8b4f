#include "event/alarm.hpp"

#include "core/loop.hpp"

namespace event_cpp {

void Alarm::attach(std::chrono::system_clock::time_point when) {
  if (const std::error_code error = try_attach(when)) {
    throw std::system_error(error, "event::Alarm::attach");
  }
}

std::error_code Alarm::try_attach(std::chrono::system_clock::time_point when) noexcept {
  return node().loop->attach_alarm(node(), std::chrono::time_point_cast<Duration>(when)).code();
}

std::optional<WallTime> Alarm::deadline() const noexcept {
  const std::optional<TimePoint> at = Event::deadline();
  return at ? std::optional(detail::to_wall(*at)) : std::nullopt;
}

}  // namespace event_cpp
