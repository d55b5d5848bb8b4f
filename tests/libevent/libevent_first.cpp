#include <event2/event.h>
#include <event2/event_struct.h>
//
#include <event/event.hpp>

#include "both.hpp"
#include "libraries.hpp"

bool with_libevent_first() { return both_work(); }
