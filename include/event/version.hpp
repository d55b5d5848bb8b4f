// The version of the library.
#pragma once

#include "event/detail/export.hpp"
#include "event/fwd.hpp"

// Of these headers.
#define EVENT_VERSION_MAJOR 0
#define EVENT_VERSION_MINOR 1
#define EVENT_VERSION_PATCH 0

namespace event_cpp {

// Of the library that the program runs with, as "0.1.0". A shared library may be a later patch than
// the headers that the program was compiled with. Thread-safety: any thread.
EVENT_API const char* version() noexcept;

}  // namespace event_cpp
