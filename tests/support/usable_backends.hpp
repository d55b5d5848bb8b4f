// The backends that tests run on.
#pragma once

#include <vector>

#include "event/event.hpp"

namespace event_cpp::test {

// Base::backends(), asked once.
inline const std::vector<Backend>& usable_backends() {
  static const std::vector<Backend> usable = Base::backends();
  return usable;
}

}  // namespace event_cpp::test
