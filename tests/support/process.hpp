// What the system knows of this process: open descriptors, memory, threads.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <set>
#include <string>

namespace event_cpp::test {

std::set<int> open_descriptors();
std::string link_of(int fd);  // what the descriptor is, such as "anon_inode:[eventpoll]"

// The descriptor among those that are open now but not in `before` whose link contains `what`;
// -1 if there is none.
int new_descriptor(const std::set<int>& before, const std::string& what);

// Allows this process as many descriptors as the system will let it have; returns how many.
std::size_t raise_descriptor_limit();

long voluntary_context_switches();  // of the calling thread

// Bytes that operator new and malloc() have handed out and that were not given back; zero if the
// allocator does not tell.
std::size_t allocated_bytes();

pid_t this_thread();

// Returns once that thread of this process sleeps in the kernel.
void await_sleep_of(pid_t thread);

}  // namespace event_cpp::test
