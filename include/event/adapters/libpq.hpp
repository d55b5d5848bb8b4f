// PostgreSQL through libpq, 14 or later: needs its headers and -lpq, and event::net. See
// Connection, Pipeline for many small queries at once, and Pool.
#pragma once

#include "event/adapters/libpq/connection.hpp"
#include "event/adapters/libpq/copy.hpp"
#include "event/adapters/libpq/pipeline.hpp"
#include "event/adapters/libpq/pool.hpp"
