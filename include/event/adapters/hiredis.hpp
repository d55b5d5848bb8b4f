// Redis through hiredis, 0.14 or 1.x: needs its headers and -lhiredis, and event::net. See
// Connection for commands and Subscriber for channels.
#pragma once

#include "event/adapters/hiredis/connection.hpp"
#include "event/adapters/hiredis/subscriber.hpp"
