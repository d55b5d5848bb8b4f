// Timer and Ticker: events without a descriptor.
#pragma once

#include <cstdint>

#include "event/detail/export.hpp"
#include "event/event_class.hpp"

namespace event_cpp {

// Fires once, when the time given to attach() has passed, never early. attach() without a time
// fires in the next iteration. attach() may be called again after it has fired, also in the
// callback. rearm() sets a new time whether the timer is attached or not.
class EVENT_API Timer : public Event {
 public:
  // `callback` is f(Timer&, Events), f(Timer&), f(Events) or f(). One that accepts several of these
  // is called in the first of them.
  template <detail::CallbackOf<Timer> F>
  Timer(Base& base, F&& callback, Priority priority = Priority::middle)
      : Event(base, -1, Events::timeout, std::forward<F>(callback), priority,
              kOps<Timer, std::decay_t<F>>) {}
};

// Fires periodically. The n-th time is due at start + n periods, however late the callback ran
// before, so the schedule does not drift. Periods that have passed completely are skipped and
// counted: see missed(). With a period of zero or less it fires in each iteration.
//
// rearm(period) sets another period; it next fires one period from now. rearm_at(deadline) keeps
// the last period; it next fires at `deadline`, and then periodically from there. Both attach the
// ticker if it is not attached.
class EVENT_API Ticker : public Event {
 public:
  // `callback` is f(Ticker&, Events), f(Ticker&), f(Events) or f(). One that accepts several of
  // these is called in the first of them.
  template <detail::CallbackOf<Ticker> F>
  Ticker(Base& base, F&& callback, Priority priority = Priority::middle)
      : Event(base, -1, Events::timeout | Events::persist, std::forward<F>(callback), priority,
              kOps<std::decay_t<F>>) {}

  // Fires every `period`, the first time one period from now. Errors: as Event::attach().
  void attach(AnyDuration period) & { Event::attach(period); }
  [[nodiscard]] std::error_code try_attach(AnyDuration period) & noexcept {
    return Event::try_attach(period);
  }

  // Fires after `first`, counted from now, and then every `period`. Errors: as Event::attach().
  void attach(AnyDuration first, AnyDuration period) &;
  [[nodiscard]] std::error_code try_attach(AnyDuration first, AnyDuration period) & noexcept;

  // Fires at `first`, and then every `period` from there. Does not read the clock. Errors: as
  // Event::attach_at().
  void attach_at(AnyDeadline first, AnyDuration period) &;
  [[nodiscard]] std::error_code try_attach_at(AnyDeadline first, AnyDuration period) & noexcept;

  // In the callback: how many whole periods were skipped just before this call; zero if the ticker
  // fires only because of activate().
  std::uint64_t missed() const noexcept { return missed_; }

 private:
  static void add_missed(detail::Node& node, std::uint64_t skipped, bool pending) noexcept {
    std::uint64_t& missed = static_cast<Ticker&>(of(node)).missed_;
    missed = pending ? missed + 1 + skipped : skipped;
  }

  template <class F>
  static void call(detail::Node& node, Events fired) {
    if (!any(fired & detail::Node::kTicked)) static_cast<Ticker&>(of(node)).missed_ = 0;
    Event::call<Ticker, F>(node, fired & ~detail::Node::kTicked);
  }

  template <class F>
  static constexpr detail::NodeOps kOps =
      ops_for<F>(&call<F>, detail::NodeKind::event, &add_missed);

  std::uint64_t missed_ = 0;
};

}  // namespace event_cpp
