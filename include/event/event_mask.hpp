// What an event waits for, and how urgent its callback is.
#pragma once

#include <cstdint>

#include "event/fwd.hpp"

namespace event_cpp {

// Conditions to wait for and options, as a bitmask. A callback gets the conditions that came true.
enum class Events : std::uint16_t {
  none = 0,
  read = 1,     // reading would not block: data, a connection to accept, end of file, an error
  write = 2,    // writing would not block: room, a connect that finished, an error
  timeout = 4,  // the time given to attach() has passed
  persist = 8,  // option: stay attached after firing
  signal = 16,  // the signal with the number that is given as fd has come: see Signal
  closed = 32,  // the peer closed or half-closed, or hang-up; may be waited for alone
  urgent = 64,  // out-of-band data, or another exceptional condition: see poll(2)
  // An error is pending on the descriptor: a failed connection, or a message in the error queue of
  // a socket (time stamps, MSG_ZEROCOPY, IP_RECVERR); may be waited for alone. To an event that
  // does not ask for it the error shows as `read` and `write`, if it asks for these, and never as
  // `closed`. See poll(2): POLLERR.
  error = 128,
  // Option: report changes, not levels. It has effect only if every event of this base on the fd
  // sets it.
  edge = 256,
  // Option: of several bases that wait for one descriptor, a listening socket, wake one or a few,
  // not all. Only on epoll, for read and write, and only if every event of the base on the fd sets
  // it. A woken base that detaches without reading does not pass the wake-up on.
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
