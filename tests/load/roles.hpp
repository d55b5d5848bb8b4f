// Roles: the ways in which clients behave.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace load {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;
using Span = Clock::duration;

enum class Role : std::uint8_t {
  steady,         // a message, its answer, a pause, and so on for the whole run
  stalling,       // sends, reads nothing for a while, then reads all
  half_closing,   // says at once that it has sent all, then reads to the end
  trickling,      // sends one byte at a time
  resetting,      // goes away with a reset in the middle
  never_reading,  // sends until nobody takes it any more, and goes away with a reset
  silent,         // connects and says nothing
  reconnecting,   // one message to a connection, over and over
  late            // comes when the server has no descriptors
};
inline constexpr std::size_t kRoles = 9;

const char* name_of(Role role);

// How the connection ends.
enum class Ending : std::uint8_t {
  never,        // stays until it is told to go
  orderly,      // when all is answered: says so, and reads to the end
  half_closed,  // when all is sent: says so, and reads to the end
  reset,        // when all is sent, whatever has come back
  dropped       // with a reset when its time is up, whatever has been sent
};

// What a client does with one connection; all of its behaviour is in these numbers.
struct Plan {
  static constexpr std::uint64_t kEndless = ~std::uint64_t{0};

  std::uint64_t bytes = 0;  // to send in all
  std::size_t piece = 0;    // most it sends without a pause; 0: no pauses
  Span begins_after{};      // sends nothing for so long
  Span pause{};             // after a piece, on average
  bool in_turn = false;     // the next piece waits for the answer to this one
  Span reads_after{};       // from then on
  Span ends_after{};        // likewise, at the earliest
  Ending ending = Ending::orderly;
};

// A role's share of the connections, in hundredths.
struct Share {
  Role role;
  unsigned percent;
};
inline constexpr std::array<Share, 8> kMix{{{Role::steady, 58},
                                            {Role::stalling, 8},
                                            {Role::half_closing, 8},
                                            {Role::trickling, 8},
                                            {Role::resetting, 6},
                                            {Role::never_reading, 2},
                                            {Role::silent, 5},
                                            {Role::reconnecting, 5}}};

class World;

// A connection's plan, with its lengths and times drawn at random.
Plan plan_for(Role role, World& world);

// One byte and its answer: then the server is known to have accepted it.
Plan greeting();

}  // namespace load
