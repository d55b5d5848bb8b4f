#include <unistd.h>

#include "sys/privileges.hpp"

namespace event_cpp::detail {

bool has_borrowed_privileges() noexcept { return ::issetugid() != 0; }

}  // namespace event_cpp::detail
