// Timer and Ticker: events without a descriptor.
#pragma once

#include <cstdint>

#include "event/detail/export.hpp"
#include "event/event_object.hpp"

namespace event_cpp {

// Fires once, when the time given to attach() has passed: never early. Attach it again to use it
// again; rearm() moves it while it waits. attach() without a time fires in the next iteration.
class EVENT_API Timer : public Event {
 public:
  template <detail::EventCallback F>
  Timer(Base& base, F&& callback, Priority priority = Priority::middle)
      : Event(base, -1, Events::timeout, std::forward<F>(callback), priority) {}

  // Fires when the base's clock has come to `deadline`, in the next iteration if it has already.
  // Reads no clock, which is half of what attach() costs: with base.now() + delay, in a callback
  // the delay counts from the iteration's time, and many timers set at once share one reading.
  // timeout() is then zero. Errors: as attach(), but that any time will do. Cost: O(log n) in the
  // timers.
  void attach_at(TimePoint deadline);

  // The same, with the error returned.
  [[nodiscard]] std::error_code try_attach_at(TimePoint deadline) noexcept;

  // Moves it to another deadline while it is attached, as attach_at() counts. Errors: as rearm().
  // Cost: a store if it moves later, else O(log n).
  void rearm_at(TimePoint deadline);
};

// Fires again and again. The n-th fire is due at start + n periods, however late the earlier ones
// ran; periods that passed whole are skipped and counted. A period of zero fires in each iteration.
class EVENT_API Ticker : public Event {
 public:
  template <detail::EventCallback F>
  Ticker(Base& base, F&& callback, Priority priority = Priority::middle)
      : Event(base, -1, Events::timeout | Events::persist, std::forward<F>(callback), priority,
              kOps<std::decay_t<F>>) {}

  // Fires each `period`, the first time one period from now. Errors: as Event::attach().
  void attach(Duration period) { Event::attach(period); }

  // Fires `first` from now, and then each `period`. Errors: as Event::attach().
  void attach(Duration first, Duration period);

  // In the callback: how many whole periods were skipped just before this fire; none if it is one
  // by activate() alone.
  std::uint64_t missed() const noexcept { return missed_; }

 private:
  static void add_missed(detail::Node& node, std::uint64_t skipped, bool pending) noexcept {
    std::uint64_t& missed = static_cast<Ticker&>(of(node)).missed_;
    missed = pending ? missed + 1 + skipped : skipped;
  }

  template <class F>
  static void call(detail::Node& node, Events fired) {
    if (!any(fired & detail::Node::kTicked)) static_cast<Ticker&>(of(node)).missed_ = 0;
    Event::call<F>(node, fired & ~detail::Node::kTicked);
  }

  template <class F>
  static constexpr detail::NodeOps kOps = ops_for<F>(&add_missed, &call<F>);

  std::uint64_t missed_ = 0;
};

}  // namespace event_cpp
