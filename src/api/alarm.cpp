#include "event/alarm.hpp"

#include "loop/loop.hpp"

namespace event_cpp {

void Alarm::attach(AnyTimePoint<std::chrono::system_clock> when) & {
  if (const std::error_code error = try_attach(when)) {
    throw std::system_error(error, "event::Alarm::attach");
  }
}

std::error_code Alarm::try_attach(AnyTimePoint<std::chrono::system_clock> when) & noexcept {
  return node().loop->watches().attach_alarm(node(), when).code();
}

bool Alarm::detach() noexcept {
  return node().in_use() && node().loop->watches().detach_alarm(node());
}

std::optional<WallTime> Alarm::deadline() const noexcept {
  const std::optional<TimePoint> at = Event::deadline();
  return at ? std::optional(detail::to_wall(*at)) : std::nullopt;
}

}  // namespace event_cpp
