// Events that a base owns until they have fired: after() and once().
#pragma once

#include <memory>
#include <utility>

#include "event/detail/export.hpp"
#include "event/event_object.hpp"

namespace event_cpp::detail {

class OwnedEvents;

// One of them. It frees itself when it has fired, also if its callback throws.
class EVENT_API OwnedEvent {
 public:
  virtual ~OwnedEvent() = default;
  OwnedEvent(const OwnedEvent&) = delete;
  OwnedEvent& operator=(const OwnedEvent&) = delete;

 protected:
  explicit OwnedEvent(OwnedEvents& owner) noexcept : owner_(owner) {}

  // Takes this event out of the base's list; whoever holds the result frees it.
  std::unique_ptr<OwnedEvent> take() noexcept;

 private:
  friend class OwnedEvents;
  virtual Event& event() noexcept = 0;

  OwnedEvents& owner_;
  OwnedEvent* previous_ = nullptr;
  OwnedEvent* next_ = nullptr;
};

// The list of them; frees what is left at the end.
class EVENT_API OwnedEvents {
 public:
  OwnedEvents() = default;
  ~OwnedEvents();
  OwnedEvents(const OwnedEvents&) = delete;
  OwnedEvents& operator=(const OwnedEvents&) = delete;

  // Attaches the event and keeps it. Errors: as Event::attach(); then the event is freed.
  void attach(std::unique_ptr<OwnedEvent> owned, Duration timeout, bool keeps_alive = true);

 private:
  friend class OwnedEvent;
  OwnedEvent* first_ = nullptr;
};

template <class F>
class Owned final : public OwnedEvent {
 public:
  template <class G>
  Owned(Base& base, OwnedEvents& owner, int fd, Events events, G&& callback)
      : OwnedEvent(owner),
        callback_(std::forward<G>(callback)),
        event_(base, fd, events, [this](Event& event, Events fired) {
          const std::unique_ptr<OwnedEvent> self = take();
          if constexpr (std::is_invocable_v<F&, Event&, Events>) {
            callback_(event, fired);
          } else if constexpr (std::is_invocable_v<F&, Events>) {
            callback_(fired);
          } else {
            callback_();
          }
        }) {}

 private:
  Event& event() noexcept override { return event_; }

  F callback_;
  Event event_;
};

// One-shot whatever was asked for; and zero, which would mean "at once" with Events::timeout in the
// mask of a descriptor, means no timeout here.
constexpr Events once_mask(int fd, Events events, Duration timeout) noexcept {
  const Events mask = events & ~Events::persist;
  return fd >= 0 && timeout == Duration::zero() ? mask & ~Events::timeout : mask;
}

}  // namespace event_cpp::detail
