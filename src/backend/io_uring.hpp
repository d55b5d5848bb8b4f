// The io_uring backend with a ring of a chosen size, for tests of what happens when one is full.
#pragma once

#include <memory>

#include "backend/backend.hpp"

namespace event_cpp::detail {

// The kernel finds a request by its name in as many lists as a 32nd of `completions`, 256 at most:
// a ring grows with the number of descriptors. The first one takes 12 KB.
struct RingSize {
  unsigned submissions = 64;
  unsigned completions = 512;
  bool grows = true;
};

// Errors: throws std::system_error with the system's own code: ENOSYS without io_uring, EPERM where
// it is forbidden, EINVAL before Linux 6.1, ENOMEM if not even a small ring may be locked in
// memory.
std::unique_ptr<BackendPort> make_io_uring(RingSize size);

}  // namespace event_cpp::detail
