// Coroutines: tasks, groups, cancellation, and awaitable operations. CMake target event::co.
// docs/coroutines.md is the guide. It also lists the coroutines that g++ 12 miscompiles.
#pragma once

#include "event/co/channel.hpp"
#include "event/co/dump.hpp"
#include "event/co/group.hpp"
#include "event/co/result.hpp"
#include "event/co/run.hpp"
#include "event/co/sync.hpp"
#include "event/co/task.hpp"
#include "event/co/threads.hpp"
#include "event/co/timeout.hpp"
#include "event/co/wait.hpp"
#include "event/co/when.hpp"
#include "event/event.hpp"
