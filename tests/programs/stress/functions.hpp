// The functions that are posted: of every kind that post() takes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "stress/ledger.hpp"
#include "stress/world.hpp"

namespace event_cpp::stress {

struct Thrown {};

// Posts one of them, chosen by chance, to a base that is there.
void post_any(World& world, Home& home, Tenancy& tenancy, Random& random);

// Two pointers where they have 64 bits, and nothing but bytes.
struct Small {
  Slip slip;
  void operator()() const { slip.ledger->note_run(slip); }
};
static_assert(sizeof(Small) <= 16 && std::is_trivially_copyable_v<Small>);

// Too large to be posted without an allocation.
struct Large {
  Slip slip;
  Receipt receipt;
  std::array<std::uint32_t, 64> padding;

  static Large make(Slip slip) {
    Large large{slip, Receipt(*slip.ledger), {}};
    large.padding.fill(slip.number);
    return large;
  }
  void operator()() const {
    for (const std::uint32_t each : padding) {
      if (each != slip.number) fail("what a post captured has changed", each, slip.number);
    }
    slip.ledger->note_run(slip);
  }
};

// Small, but its move constructor has work to do.
struct MoveOnly {
  struct Owned {
    Slip slip;
    Receipt receipt;
  };
  std::unique_ptr<Owned> owned;

  static MoveOnly make(Slip slip) {
    return {std::make_unique<Owned>(Owned{slip, Receipt(*slip.ledger)})};
  }
  void operator()() const { owned->slip.ledger->note_run(owned->slip); }
};

// Says that it ran, and does not return before it may: what others do meanwhile finds the loop
// awake, and about to sleep.
struct Holding {
  MoveOnly function;
  Home* home;
  void operator()() const {
    function();
    home->wait_while(home->busy);
  }
};

// Runs, and then throws.
struct Throwing {
  MoveOnly function;
  void operator()() const {
    function();
    throw Thrown();
  }
};

// Posts itself again, to the same base, from the base's thread.
struct Again {
  Slip slip;
  Receipt receipt;
  Base* base;
  std::uint32_t times;

  void operator()() const {
    slip.ledger->note_run(slip);
    if (times == 0) return;
    const Slip next = slip.ledger->issue(slip.priority);
    base->post(Again{next, Receipt(*slip.ledger), base, times - 1}, slip.priority);
  }
};

// Stops its base from inside.
struct Stopping {
  MoveOnly function;
  Home* home;
  Base* base;
  bool now;

  void operator()() const {
    function();
    ++home->stops;
    now ? base->stop_now() : base->stop();
  }
};

// Posts to another base, as any other visitor does.
struct Passing {
  Slip slip;
  Receipt receipt;
  World* world;
  Home* to;

  void operator()() const {
    slip.ledger->note_run(slip);
    if (const Home::Visit visit(*to); visit) {
      Ledger& ledger = visit.tenancy().ledger;
      visit.base().post(Large::make(ledger.issue(slip.priority)), slip.priority);
    }
  }
};

}  // namespace event_cpp::stress
