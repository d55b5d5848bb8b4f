// The callback that must not run.
#include "support/recorder.hpp"

#include <gtest/gtest.h>

#include "support/printing.hpp"

namespace event_cpp::test {

void Never::operator()(Events fired) const {
  ADD_FAILURE() << "an event that must not fire got " << to_string(fired);
}

}  // namespace event_cpp::test
