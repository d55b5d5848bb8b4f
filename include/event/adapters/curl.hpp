// HTTP and more through libcurl, 7.75 or later: needs its headers and -lcurl, and event::net. See
// Multi for any transfer, Download and get() for bodies.
#pragma once

#include "event/adapters/curl/download.hpp"
#include "event/adapters/curl/multi.hpp"
