// Tells the child of a fork from its parent, at the cost of two loads.
#pragma once

#include <atomic>
#include <cstdint>

#include "event/detail/export.hpp"

namespace event_cpp::detail {

// Where the number of this process is kept. The kernel sets it to zero in the child of fork(2),
// _Fork(3) or clone(2), if it can: see count_forks().
[[gnu::visibility("hidden")]] extern std::atomic<std::atomic<std::uint32_t>*> process_number;

// As it is now: zero in a child that has not chosen one yet.
inline std::uint32_t current_process_number() noexcept {
  return process_number.load(std::memory_order_acquire)->load(std::memory_order_relaxed);
}

// The number of a process that was just forked is chosen here. See fork_count().
std::uint32_t number_process() noexcept;

// A number, not zero, that is another one in the child of a fork than in its parent. A child that
// shares its parent's memory, as that of vfork(2), shares the number.
// Thread-safety: any thread.
inline std::uint32_t fork_count() noexcept {
  const std::uint32_t count = current_process_number();
  return count != 0 ? count : number_process();
}

// fork_count() for the other libraries, for which process_number is hidden.
EVENT_API std::uint32_t exported_fork_count() noexcept;

// Whether fork_count() returned `count` in another process, a parent of this one.
inline bool forked_since(std::uint32_t count) noexcept { return current_process_number() != count; }

// Has forks noticed from now on: by memory that the kernel wipes in a child (MADV_WIPEONFORK of
// Linux 4.14, INHERIT_ZERO of the BSDs), elsewhere by pthread_atfork(3), which does not see
// _Fork(3) and clone(2). Errors: throws std::bad_alloc.
void count_forks();

// Notices a fork that pthread_atfork(3) has not seen, by the process ID. Cost: a system call where
// the kernel wipes no memory, else none.
void notice_fork() noexcept;

}  // namespace event_cpp::detail
