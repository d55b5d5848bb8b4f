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
  signal = 16,  // the signal with the number that is given for a descriptor was raised: see Signal
  closed = 32,  // the peer closed or half-closed, or hang-up; may be waited for alone
  urgent = 64,  // out-of-band data, or what else a kind of file calls exceptional: see poll(2)
  // An error is pending on the descriptor: a failed connection, or a message in the error queue of
  // a socket (time stamps, MSG_ZEROCOPY, IP_RECVERR); may be waited for alone. An event that does
  // not ask for it is told `read` and `write` instead, as far as it asks for them, and never
  // `closed`. See poll(2): POLLERR.
  error = 128,
  edge = 256,  // option: report changes, not levels; holds where all events on the descriptor ask
  // Option: of several bases that wait for one descriptor, a listening socket, wake one or a few,
  // not all. For read and write, on epoll; holds where all events of a base on the descriptor ask.
  // A base that is woken and does not take what is there, having detached meanwhile, wakes no
  // other.
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
// A value that is none of these counts as low.
enum class Priority : std::uint8_t { high, middle, low };

}  // namespace event_cpp
