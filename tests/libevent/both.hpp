// Uses both libraries. Requires: both were included before, with EVENT_CPP_NO_ALIAS.
#pragma once

#include <ctime>

// A timer of each fires. libevent's is a `struct event`, by value.
inline bool both_work() {
  event_cpp::Base base;
  bool ours_fired = false;
  event_cpp::Timer ours(base, [&] { ours_fired = true; });
  ours.attach(-std::chrono::seconds(1));

  struct event_base* const their_base = event_base_new();
  if (their_base == nullptr) return false;
  bool theirs_fired = false;
  struct event theirs;
  event_assign(
      &theirs, their_base, -1, 0,
      [](evutil_socket_t, short, void* fired) { *static_cast<bool*>(fired) = true; },
      &theirs_fired);
  const timeval at_once{};
  event_add(&theirs, &at_once);

  base.dispatch();
  event_base_dispatch(their_base);
  event_base_free(their_base);
  return ours_fired && theirs_fired;
}
