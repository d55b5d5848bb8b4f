// Watch: the event of a C library's descriptor.
#pragma once

#include <new>

#include "event/event_class.hpp"

namespace event_cpp::adapters::detail {

// Calls owner.ready(fired), which may destroy the owner.
template <class Owner>
class Watch final : public Event {
 public:
  Watch(Base& base, Owner& owner) noexcept : Event(base, -1, Events::none, Calls<&Watch::fire>()) {
    ::new (room()) Owner*(&owner);
  }

 private:
  static void fire(Event& event, Events fired) {
    (*std::launder(static_cast<Owner**>(static_cast<Watch&>(event).room())))->ready(fired);
  }
};

}  // namespace event_cpp::adapters::detail
