#include "event/version.hpp"

#define EVENT_TEXT(number) #number
#define EVENT_VERSION_TEXT(major, minor, patch) \
  EVENT_TEXT(major) "." EVENT_TEXT(minor) "." EVENT_TEXT(patch)

namespace event_cpp {

const char* version() noexcept {
  return EVENT_VERSION_TEXT(EVENT_VERSION_MAJOR, EVENT_VERSION_MINOR, EVENT_VERSION_PATCH);
}

}  // namespace event_cpp
