// Tells the child of a fork from its parent, at the cost of a load.
#pragma once

#include <cstdint>

namespace event_cpp::detail {

// Changes only in a child that has but one thread yet.
[[gnu::visibility("hidden")]] extern std::uint32_t forks_so_far;

// How many forks lie between the process that first had them counted and this one. Done by
// pthread_atfork(3): what clone(2) makes directly is not seen.
inline std::uint32_t fork_count() noexcept { return forks_so_far; }

// Has forks counted from now on. Errors: throws std::bad_alloc.
void count_forks();

}  // namespace event_cpp::detail
