// All of the core: the loop, events, timers, signals, children, alarms, hooks, and a clock for
// tests.
#pragma once

#include "event/alarm.hpp"        // IWYU pragma: export
#include "event/base.hpp"         // IWYU pragma: export
#include "event/child.hpp"        // IWYU pragma: export
#include "event/error.hpp"        // IWYU pragma: export
#include "event/event_class.hpp"  // IWYU pragma: export
#include "event/event_mask.hpp"   // IWYU pragma: export
#include "event/fwd.hpp"          // IWYU pragma: export
#include "event/hook.hpp"         // IWYU pragma: export
#include "event/manual_time.hpp"  // IWYU pragma: export
#include "event/options.hpp"      // IWYU pragma: export
#include "event/signal.hpp"       // IWYU pragma: export
#include "event/stats.hpp"        // IWYU pragma: export
#include "event/time.hpp"         // IWYU pragma: export
#include "event/timer.hpp"        // IWYU pragma: export
#include "event/version.hpp"      // IWYU pragma: export
