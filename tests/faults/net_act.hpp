// All of event::net over real sockets, in one base.
#pragma once

#include "event/options.hpp"
#include "journal.hpp"

namespace event_cpp::faults {

// Runs the parts of net_parts.hpp beside each other. A part that the library reports an error to is
// run again, with sockets of its own; the others must not notice. In a thread, at whose end the
// memory that it keeps for reuse is freed. Errors: throws GivenUp.
void run_net_act(Journal& journal, Backend backend);

}  // namespace event_cpp::faults
