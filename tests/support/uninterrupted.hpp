// System calls that are made again if a signal interrupts them.
#pragma once

#include <cerrno>

namespace event_cpp::test {

// call() returns what a system call does, negative on error.
template <class Call>
auto uninterrupted(Call&& call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

}  // namespace event_cpp::test
