// Events: what an event waits for. Priority: how urgent its callback is.
#pragma once

#include <cstdint>

#include "event/fwd.hpp"

namespace event_cpp {

// Conditions to wait for and options, as a bitmask. A callback gets the conditions that are true.
enum class Events : std::uint16_t {
  none = 0,
  read = 1,     // reading would not block: data, a connection to accept, end of file, an error
  write = 2,    // writing would not block: room, a connect that finished, an error
  timeout = 4,  // the time given to attach() has passed
  persist = 8,  // option: stay attached after firing
  signal = 16,  // the process received the signal whose number is given as fd: see Signal
  closed = 32,  // the peer closed or half-closed, or hang-up; may be set alone. EPOLLRDHUP
  urgent = 64,  // out-of-band data, or another exceptional condition: see poll(2), POLLPRI
  // An error is pending on the descriptor: a failed connection, or a message in the error queue of
  // a socket (time stamps, MSG_ZEROCOPY, IP_RECVERR). May be set alone. An event without this
  // condition gets the error as `read` and `write`, if it has these, and never as `closed`. See
  // poll(2): POLLERR.
  error = 128,
  // Option: edge-triggered instead of level-triggered. It has effect only if every event of this
  // base on the fd sets it. See epoll(7): EPOLLET.
  edge = 256,
  // Option: if several bases wait for one descriptor, such as a listening socket, wake one or a few
  // of them, not all. Only on epoll, for read and write, and only if every event of the base on the
  // fd sets it. A woken base that detaches without reading does not pass the wake-up on. See
  // epoll_ctl(2): EPOLLEXCLUSIVE.
  exclusive = 512,
};

constexpr Events operator|(Events a, Events b) noexcept {
  return static_cast<Events>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr Events operator&(Events a, Events b) noexcept {
  return static_cast<Events>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}
constexpr Events operator~(Events a) noexcept {
  return static_cast<Events>(~static_cast<unsigned>(a) & 0xffffU);
}
constexpr Events& operator|=(Events& a, Events b) noexcept { return a = a | b; }
constexpr Events& operator&=(Events& a, Events b) noexcept { return a = a & b; }

// True when at least one bit is set.
constexpr bool any(Events e) noexcept { return e != Events::none; }

// In an iteration every active high event runs before any middle one, and these before any low one.
// Any other value counts as low.
enum class Priority : std::uint8_t { high, middle, low };

}  // namespace event_cpp
