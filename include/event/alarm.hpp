// Alarm: a callback at a time of day.
#pragma once

#include <optional>
#include <system_error>
#include <utility>

#include "event/event_class.hpp"

namespace event_cpp {

// Runs a callback once, when the wall clock has reached a given time, and never earlier. Unlike a
// timer it follows changes of the clock: if the clock is set forward past the time, it fires at
// once; if the clock is set back, it waits longer. attach() may be called again, also in the
// callback.
//
// Alarms that are due together fire in the order of their times, after the timers. On Linux, where
// the kernel reports changes of the clock, a waiting alarm costs nothing. Elsewhere, and with a
// TimeSource that cannot move its own time, the base wakes up once a second to read the clock.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: as Event's.
// See timerfd_create(2): TFD_TIMER_CANCEL_ON_SET.
class EVENT_API Alarm : private Event {
 public:
  // `callback` is f(Alarm&, Events), f(Alarm&), f(Events) or f(); the events are Events::timeout.
  // One that accepts several of these is called in the first of them.
  template <detail::CallbackOf<Alarm> F>
  Alarm(Base& base, F&& callback, Priority priority = Priority::middle)
      : Event(base, -1, Events::timeout, std::forward<F>(callback), priority,
              kOps<std::decay_t<F>>) {}

  // Fires at `when`, measured by TimeSource::wall() if the base has a TimeSource. If `when` has
  // passed, it fires in the next iteration. `when` may have any resolution; a time that is too late
  // for a WallTime, such as the year 9999, means never.
  // Errors: throws std::system_error and changes nothing: Errc::already_attached; EMFILE, ENFILE or
  // ENOMEM. Cost: O(log n) in the alarms; two system calls for the first one of a base.
  void attach(AnyTimePoint<std::chrono::system_clock> when) &;

  // The same, with the error returned.
  [[nodiscard]] std::error_code try_attach(AnyTimePoint<std::chrono::system_clock> when) & noexcept;

  // Stops waiting. Returns false if it was not attached. Cost: O(log n) in the alarms.
  bool detach() noexcept;

  // When it will fire. No value if it is not attached, or is due and about to run.
  std::optional<WallTime> deadline() const noexcept;

  using Event::attached;
  using Event::base;
  using Event::keep_alive;
  using Event::priority;
  using Event::set_priority;

 private:
  template <class F>
  static void call(detail::Node& node, Events fired) {
    detail::call_back(detail::Stored<F>::get(node.callable), static_cast<Alarm&>(of(node)), fired);
  }

  template <class F>
  static constexpr detail::NodeOps kOps = ops_for<F>(&call<F>, detail::NodeKind::alarm);
};

}  // namespace event_cpp
