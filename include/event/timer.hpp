// Timer and Ticker: events without a descriptor.
#pragma once

#include <cstdint>

#include "event/detail/export.hpp"
#include "event/event_class.hpp"

namespace event_cpp {

// Fires once, when the time given to attach() has passed: never early. attach() may be called
// again, also in the callback. rearm() sets a new time whether it is attached or not. attach()
// without a time fires in the next iteration.
class EVENT_API Timer : public Event {
 public:
  // `callback` is f(Timer&, Events), f(Timer&), f(Events) or f(). One that accepts several of these
  // is called in the first of them.
  template <detail::CallbackOf<Timer> F>
  Timer(Base& base, F&& callback, Priority priority = Priority::middle)
      : Event(base, -1, Events::timeout, std::forward<F>(callback), priority,
              kOps<Timer, std::decay_t<F>>) {}
};

// Fires again and again. The n-th fire is due at start + n periods, however late the earlier ones
// ran; periods that have passed completely are skipped and counted. A period of zero or less fires
// in each iteration.
//
// rearm(period) sets another period; the next fire is one period from now. rearm_at(deadline) keeps
// the period: the next fire is at `deadline`, and the schedule goes on from there. Both attach it
// if it is not attached; the period is then the one that was given last.
class EVENT_API Ticker : public Event {
 public:
  // `callback` is f(Ticker&, Events), f(Ticker&), f(Events) or f(). One that accepts several of
  // these is called in the first of them.
  template <detail::CallbackOf<Ticker> F>
  Ticker(Base& base, F&& callback, Priority priority = Priority::middle)
      : Event(base, -1, Events::timeout | Events::persist, std::forward<F>(callback), priority,
              kOps<std::decay_t<F>>) {}

  // Fires each `period`, the first time one period from now. Errors: as Event::attach().
  void attach(AnyDuration period) & { Event::attach(period); }
  [[nodiscard]] std::error_code try_attach(AnyDuration period) & noexcept {
    return Event::try_attach(period);
  }

  // Fires `first` from now, and then each `period`. Errors: as Event::attach().
  void attach(AnyDuration first, AnyDuration period) &;
  [[nodiscard]] std::error_code try_attach(AnyDuration first, AnyDuration period) & noexcept;

  // Fires at `first`, and then each `period` from there. Reads no clock. Errors: as
  // Event::attach_at().
  void attach_at(AnyDeadline first, AnyDuration period) &;
  [[nodiscard]] std::error_code try_attach_at(AnyDeadline first, AnyDuration period) & noexcept;

  // In the callback: how many whole periods were skipped just before this fire; zero if it fires
  // only because of activate().
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
