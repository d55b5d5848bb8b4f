// Remembers what callbacks ran, in order, and what they were told.
#pragma once

#include <vector>

#include "event/event_mask.hpp"

namespace event_cpp::test {

using Order = std::vector<int>;
using Fired = std::vector<Events>;

struct Recorder {
  // A callback that notes that `name` ran.
  auto note(int name) {
    return [this, name] { order.push_back(name); };
  }

  // A callback that notes what fired.
  auto note_fired() {
    return [this](Events what) { fired.push_back(what); };
  }

  Order order;
  Fired fired;
};

// A callback for an event that must not fire.
struct Never {
  void operator()(Events fired) const;
};

}  // namespace event_cpp::test
