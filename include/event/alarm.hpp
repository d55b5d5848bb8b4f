// Alarm: a callback at a time of day.
#pragma once

#include <optional>
#include <system_error>
#include <utility>

#include "event/event_object.hpp"

namespace event_cpp {

// Runs a callback once, when the wall clock has reached a time: never before. Unlike a timer it
// follows the clock: set forward past the time it fires at once, set back it waits longer. Attach
// it again, in its callback too, to use it again.
//
// Alarms that are due together fire in the order of their times, after the timers. Where the kernel
// tells of changes of the clock (Linux) they cost nothing while they wait; elsewhere, and on
// a source of time that cannot be moved, the base looks at the clock once a second.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: as Event's.
// See timerfd_create(2): TFD_TIMER_CANCEL_ON_SET.
class EVENT_API Alarm : private Event {
 public:
  // `callback` is f(Alarm&) or f().
  template <class F>
  requires std::is_invocable_v < std::decay_t<F>
  &, Alarm& > || std::is_invocable_v<std::decay_t<F>&> Alarm(Base& base, F&& callback,
                                                             Priority priority = Priority::middle)
      : Event(base, -1, kMask, Wrapped<std::decay_t<F>>{std::forward<F>(callback)}, priority) {}

  // Fires at `when`, of TimeSource::wall() if the base has a source of time; a time that has passed
  // is due at once, in the next iteration.
  // Errors: throws std::system_error and changes nothing: Errc::already_attached; EMFILE, ENFILE or
  // ENOMEM. Cost: O(log n) in the alarms; two system calls for the first one of a base.
  void attach(std::chrono::system_clock::time_point when);

  // The same, with the error returned.
  [[nodiscard]] std::error_code try_attach(std::chrono::system_clock::time_point when) noexcept;

  // When it will fire; nothing if it is not attached, or is due already and about to run.
  std::optional<WallTime> deadline() const noexcept;

  using Event::attached;
  using Event::base;
  using Event::detach;
  using Event::keep_alive;
  using Event::priority;
  using Event::set_priority;

 private:
  static constexpr Events kMask = Events::timeout | detail::Node::kOnWallClock;

  template <class F>
  struct Wrapped {
    void operator()(Event& event, Events) {
      if constexpr (std::is_invocable_v<F&, Alarm&>) {
        callback(static_cast<Alarm&>(event));
      } else {
        callback();
      }
    }
    F callback;
  };
};

}  // namespace event_cpp
