// Children that no base waits for any more.
#pragma once

#include <sys/types.h>

namespace event_cpp::net::detail {

// They are reaped when the next process is started. Thread-safe.
class Unreaped {
 public:
  // Reaps it now if it has ended. Without memory it stays a zombie until this program ends.
  static void add(pid_t pid) noexcept;
  // Reaps those that have ended.
  static void look() noexcept;
};

}  // namespace event_cpp::net::detail
