// A process in which the kernel refuses some system calls, as an old kernel or a container does.
#pragma once

#include <initializer_list>

namespace event_cpp::test {

// Whether the kernel has filters of system calls: emulators have none.
bool can_refuse_calls();

// From now on the kernel answers these calls, by their numbers, with `error`, in this process and
// its children, and there is no way back: for a forked child. Returns false if the kernel has no
// such filters.
bool refuse_calls(std::initializer_list<long> numbers, int error);

// Likewise, socket() says what it says on a kernel that has no IPv6.
bool refuse_ipv6();

}  // namespace event_cpp::test
