// One program with this library and libevent. This file sees only this one, with its short name.
#include <event/event.hpp>

#include "libraries.hpp"

int main() {
  event::Base base;
  bool fired = false;
  event::Timer timer(base, [&] { fired = true; });
  timer.attach(-std::chrono::seconds(1));
  base.dispatch();
  return fired && with_this_library_first() && with_libevent_first() ? 0 : 1;
}
