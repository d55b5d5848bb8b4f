// Conditions as poll(2) has them.
#pragma once

#include <poll.h>

#include "poller/poller.hpp"

namespace event_cpp::detail {

#ifdef POLLRDHUP
inline constexpr short kPeerClosed = POLLRDHUP;
#else
inline constexpr short kPeerClosed = 0;  // then only a full hang-up shows
#endif

constexpr short to_poll(Events wanted) noexcept {
  int bits = 0;
  if (any(wanted & Events::read)) bits |= POLLIN;
  if (any(wanted & Events::write)) bits |= POLLOUT;
  if (any(wanted & Events::closed)) bits |= kPeerClosed;
  if (any(wanted & Events::urgent)) bits |= POLLPRI;
  return static_cast<short>(bits);
}

constexpr Events from_poll(short bits) noexcept {
  if ((bits & POLLNVAL) != 0) return ReadyEvent::kGone;
  Events what = Events::none;
  if ((bits & POLLPRI) != 0) what |= Events::urgent;
  if ((bits & POLLERR) != 0) what |= Events::error;
  if ((bits & POLLHUP) != 0) return what | ReadyEvent::kHangupMeans | ReadyEvent::kHangup;
  if ((bits & POLLIN) != 0) what |= Events::read;
  if ((bits & POLLOUT) != 0) what |= Events::write;
  if ((bits & kPeerClosed) != 0) what |= Events::closed;
  return what;
}

}  // namespace event_cpp::detail
