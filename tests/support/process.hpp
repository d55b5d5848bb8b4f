// What the system knows of this process: open descriptors, memory, time on a processor.
#pragma once

#include <cstddef>
#include <set>
#include <string>

#include "event/time.hpp"

namespace event_cpp::test {

std::set<int> open_descriptors();
std::string link_of(int fd);  // what the descriptor is, such as "anon_inode:[eventpoll]"

// The descriptor among those that are open now but not in `before` whose link contains `what`;
// -1 if there is none.
int new_descriptor(const std::set<int>& before, const std::string& what);

// Allows this process as many descriptors as the system will let it have; returns how many.
std::size_t raise_descriptor_limit();

std::size_t resident_bytes();

// Of the calling thread.
long voluntary_context_switches();
Duration processor_time();

}  // namespace event_cpp::test
