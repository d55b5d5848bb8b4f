#include <unistd.h>

#include "sys/privileges.hpp"

namespace event_cpp::detail {

// All that POSIX knows. A program that has given up what it was lent looks like any other.
bool has_borrowed_privileges() noexcept {
  return ::getuid() != ::geteuid() || ::getgid() != ::getegid();
}

}  // namespace event_cpp::detail
