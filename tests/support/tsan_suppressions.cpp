// What the thread sanitizer reports though it is right.
#include "support/sanitizers.hpp"

#if EVENT_HAS_TSAN
// The sanitizer learns of a descriptor by the call that opens it, but does not know pidfd_open(2),
// nor fcntl(2) with F_DUPFD. It takes such a descriptor for that of another thread which had the
// number before.
extern "C" const char* __tsan_default_suppressions() {
  return "race:event_cpp::detail::UniqueFd::~UniqueFd\n"
         "race:event_cpp::detail::FdTable::deregister\n";
}
#endif
