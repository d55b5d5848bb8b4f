#include <event/event.hpp>
//
#include <event2/event.h>
#include <event2/event_struct.h>

#include "both.hpp"
#include "libraries.hpp"

bool with_this_library_first() { return both_work(); }
