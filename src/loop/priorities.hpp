// How many priorities there are: what is kept for each is in arrays that are indexed by them.
#pragma once

#include <cstddef>

#include "event/event_mask.hpp"

namespace event_cpp::detail {

inline constexpr std::size_t kPriorities = static_cast<std::size_t>(Priority::low) + 1;

}  // namespace event_cpp::detail
