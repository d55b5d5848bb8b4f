#include "stress/functions.hpp"

#include <type_traits>

namespace event_cpp::stress {
namespace {

Home& any_crowded(World& world, Random& random) {
  for (;;) {
    Home& home = world.homes[random.below(world.homes.size())];
    if (!home.lonely) return home;
  }
}

}  // namespace

void post_any(World& world, Home& home, Tenancy& tenancy, Random& random) {
  Base& base = *tenancy.base;
  const auto priority = static_cast<Priority>(random.below(3));
  const Slip slip = tenancy.ledger.issue(priority);
  switch (random.below(32)) {
    case 0:
      return base.post(Throwing{MoveOnly::make(slip)}, priority);
    case 1:
      return base.post(Stopping{MoveOnly::make(slip), &home, &base, random.one_in(2)}, priority);
    case 2:
    case 3: {
      const auto times = static_cast<std::uint32_t>(random.below(8));
      return base.post(Again{slip, Receipt(*slip.ledger), &base, times}, priority);
    }
    case 4:
    case 5:
      return base.post(Passing{slip, Receipt(*slip.ledger), &world, &any_crowded(world, random)},
                       priority);
    default:
      break;
  }
  switch (random.below(3)) {
    case 0:
      return base.post(Large::make(slip), priority);
    case 1:
      return base.post(MoveOnly::make(slip), priority);
    default:
      return base.post(Small{slip}, priority);
  }
}

}  // namespace event_cpp::stress
