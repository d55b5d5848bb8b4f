#include <sys/auxv.h>

#include "sys/privileges.hpp"

namespace event_cpp::detail {

// The kernel's own word, which counts file capabilities and security modules as well.
bool has_borrowed_privileges() noexcept { return ::getauxval(AT_SECURE) != 0; }

}  // namespace event_cpp::detail
