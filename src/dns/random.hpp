// Numbers that nobody can guess.
#pragma once

#include <cstdint>

#include "event/base.hpp"

namespace event_cpp::dns::detail {

// The id of a query. From the system's random numbers; in a simulation, which has an
// Options::order, from that, so that it can be repeated. Errors: throws std::system_error.
std::uint16_t random_id(Base& base);

}  // namespace event_cpp::dns::detail
