// Events that a base owns until they have fired: after() and once().
#pragma once

#include <memory>
#include <utility>

#include "event/detail/export.hpp"
#include "event/event_class.hpp"

namespace event_cpp::detail {

class OwnedEvents;

// Such an event. It frees itself when it has fired, also if its callback throws.
class EVENT_API OwnedEvent : public Event {
 public:
  template <CallbackOf<Event> F>
  OwnedEvent(Base& base, OwnedEvents& owner, int fd, Events events, F&& callback)
      : Event(base, fd, events, std::forward<F>(callback), Priority::middle, kOps<std::decay_t<F>>),
        owner_(owner) {}

 private:
  friend class OwnedEvents;

  template <class F>
  static void call(Node& node, Events fired) {
    const std::unique_ptr<OwnedEvent> self = static_cast<OwnedEvent&>(of(node)).take();
    Event::call<Event, F>(node, fired);
  }

  template <class F>
  static constexpr NodeOps kOps = ops_for<F>(&call<F>);

  // Removes this event from the base's list, and passes its ownership to the caller.
  std::unique_ptr<OwnedEvent> take() noexcept;

  OwnedEvents& owner_;
  OwnedEvent* previous_ = nullptr;
  OwnedEvent* next_ = nullptr;
};

// The list of a base's owned events.
class EVENT_API OwnedEvents {
 public:
  OwnedEvents() = default;
  OwnedEvents(const OwnedEvents&) = delete;
  OwnedEvents& operator=(const OwnedEvents&) = delete;

  // Attaches the event and keeps it. Errors: as Event::attach(); then the event is freed.
  void attach(std::unique_ptr<OwnedEvent> owned, Duration timeout, bool keeps_alive = true);

  // Frees all events, including those that are added during this call. Returns whether there were
  // any.
  bool drop() noexcept;

 private:
  friend class OwnedEvent;
  OwnedEvent* first_ = nullptr;
};

// The mask of once(): always one-shot. With a descriptor, a timeout of zero means no timeout, also
// if Events::timeout is in the mask.
constexpr Events once_mask(int fd, Events events, Duration timeout) noexcept {
  const Events mask = events & ~Events::persist;
  return fd >= 0 && timeout == Duration::zero() ? mask & ~Events::timeout : mask;
}

}  // namespace event_cpp::detail
