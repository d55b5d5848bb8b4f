// All of the core: the loop, events, timers, and a clock for tests.
#pragma once

#include "event/base.hpp"          // IWYU pragma: export
#include "event/error.hpp"         // IWYU pragma: export
#include "event/event_object.hpp"  // IWYU pragma: export
#include "event/events.hpp"        // IWYU pragma: export
#include "event/manual_time.hpp"   // IWYU pragma: export
#include "event/options.hpp"       // IWYU pragma: export
#include "event/time.hpp"          // IWYU pragma: export
#include "event/timer.hpp"         // IWYU pragma: export
