// What a program does beside running one base: forks, runs one inside of another loop, has the
// kernel's set repaired, and asks what there is.
#pragma once

#include "event/event.hpp"
#include "journal.hpp"

namespace event_cpp::faults {

// A base that is forked, and goes on in both processes.
void run_fork_act(Journal& journal, Backend backend);

// A base inside a loop of the program's own, by fd() and next_timeout(), across a fork as well.
void run_embedded_act(Journal& journal, Backend backend);

// A descriptor that is closed while it is watched, and lives on as a duplicate.
void run_repair_act(Journal& journal, Backend backend);

// What is left: tables that are grown ahead, another clock, edges, the choice of a backend.
void run_rest_act(Journal& journal, Backend backend);

}  // namespace event_cpp::faults
