#include "load/roles.hpp"

#include "load/world.hpp"

namespace load {

using namespace std::chrono_literals;

const char* name_of(Role role) {
  static constexpr std::array<const char*, kRoles> kNames{
      "steady",        "stalling", "half-closing", "trickling", "resetting",
      "never reading", "silent",   "reconnecting", "late"};
  return kNames.at(static_cast<std::size_t>(role));
}

Plan greeting() { return {.bytes = 1, .in_turn = true, .ending = Ending::never}; }

Plan plan_for(Role role, World& world) {
  switch (role) {
    case Role::steady:
      return {.bytes = Plan::kEndless,
              .piece = 2048,
              .pause = 1s,
              .in_turn = true,
              .ending = Ending::never};
    case Role::stalling:
      return {.bytes = world.between(128 * 1024, 768 * 1024),
              .reads_after = world.span(3s, 12s),
              .ending = Ending::orderly};
    case Role::half_closing:
      return {.bytes = world.between(1, 128 * 1024),
              .begins_after = world.span(1s, 4s),
              .ending = Ending::half_closed};
    case Role::trickling:
      return {
          .bytes = world.between(20, 100), .piece = 1, .pause = 200ms, .ending = Ending::orderly};
    case Role::resetting:
      return {.bytes = world.between(1, 64 * 1024),
              .begins_after = world.span(1s, 4s),
              .ends_after = world.span(0ms, 200ms),
              .ending = Ending::reset};
    case Role::never_reading:
      return {.bytes = World::kTooMuch,
              .reads_after = 1h,
              .ends_after = world.span(3s, 10s),
              .ending = Ending::dropped};
    case Role::silent:
      return {.ends_after = world.span(1s, 5s), .ending = Ending::orderly};
    case Role::reconnecting:
      return {.bytes = world.between(1, 1024),
              .begins_after = world.span(0ms, 1s),
              .in_turn = true,
              .ending = Ending::orderly};
    case Role::late:
      break;
  }
  return greeting();
}

}  // namespace load
