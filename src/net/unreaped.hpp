// Children that no base waits for any more.
#pragma once

#include <sys/types.h>

#include <list>

namespace event_cpp::net::detail {

// They are reaped when the next process is started. Thread-safe.
class Unreaped {
 public:
  // The memory to add one: an element, which is taken.
  using Place = std::list<pid_t>;
  // Errors: throws std::bad_alloc.
  static Place make_place();

  // Reaps it now if it has ended.
  static void add(pid_t pid, Place& place) noexcept;
  // Reaps those that have ended.
  static void look() noexcept;
};

}  // namespace event_cpp::net::detail
