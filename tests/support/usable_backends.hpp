// The backends that tests run on.
#pragma once

#include <vector>

#include "event/event.hpp"

namespace event_cpp::test {

// Base::backends(), asked once: to find out makes a ring, and the kernel interrupts the thread some
// time later, when it takes that apart.
inline const std::vector<Backend>& usable_backends() {
  static const std::vector<Backend> usable = Base::backends();
  return usable;
}

}  // namespace event_cpp::test
