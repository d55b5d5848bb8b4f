// Programs that consist of parts, in one base.
#pragma once

#include "event/options.hpp"
#include "journal.hpp"
#include "parts.hpp"

namespace event_cpp::faults {

// Runs the parts of an act beside each other. A part that the library reports an error to is run
// again, with sockets of its own; the others must not notice. In a thread, at whose end the memory
// that it keeps for reuse is freed. Errors: throws GivenUp.
void run_parts(Journal& journal, Backend backend, const Act& act);

// The same while nothing fails and nothing counts, for what is made once in a process and stays.
void rehearse(const Act& act);

}  // namespace event_cpp::faults
