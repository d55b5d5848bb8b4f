#include "stress/actor.hpp"

#include <unistd.h>

#include <csignal>
#include <thread>

#include "stress/functions.hpp"
#include "stress/owner.hpp"

namespace event_cpp::stress {

using namespace std::chrono_literals;

namespace {

// No more than the bases can take.
constexpr std::uint64_t kMostOutstanding = 10'000;

void stop_base(Base& base, bool now) { now ? base.stop_now() : base.stop(); }

}  // namespace

Actor::Actor(World& world, std::size_t number)
    : world_(world),
      doing_(world.doing[number]),
      random_(world.settings.seed * 1000 + static_cast<unsigned>(number)),
      number_(static_cast<std::uint8_t>(number)) {}

void Actor::run() {
  this_poster = number_;
  while (!world_.over) act();
}

void Actor::act() {
  if (random_.one_in(16)) return destroy_one();
  Home& home = world_.homes[random_.below(world_.homes.size())];
  if (!home.lonely) {
    doing_.begin("visits", home.number);
    act_in_crowd(home);
  } else if (const std::unique_lock alone(home.visitors, std::try_to_lock); alone) {
    act_alone(home);
  }
  doing_.end();
}

void Actor::destroy_one() {
  auto tenancy = world_.take_over();
  if (tenancy == nullptr) return;
  doing_.begin("destroys a base of", 0);
  bury(world_, std::move(tenancy), random_, random_.one_in(2));
  doing_.end();
}

// So that what is done next finds the base at any point of its way from being woken to its sleep.
void Actor::pause() {
  const auto start = std::chrono::steady_clock::now();
  const std::chrono::nanoseconds time(random_.below(20'000));
  while (std::chrono::steady_clock::now() - start < time) {
  }
}

// Polls, as what it waits for has a bound that only the watch knows.
template <class Done>
void Actor::wait(const char* what, const Home& home, Done done) {
  const auto start = std::chrono::steady_clock::now();
  doing_.begin(what, home.number);
  for (int i = 0; !done(); ++i) {
    if (i < 1000) {
      if (i % 16 == 15) std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(i < 2000 ? 20us : 1000us);
    }
  }
  doing_.end();
  world_.count_wait(std::chrono::steady_clock::now() - start);
}

// In a crowd.

void Actor::act_in_crowd(Home& home) {
  switch (random_.below(64)) {
    case 0:
      return end_life(home);
    case 1:
    case 2:
      return raise_signal(home);
    case 3:
    case 4:
    case 5:
      return stop(home, random_.one_in(4));
    case 6:
      // Some thread or other gets it, whatever that is doing.
      static_cast<void>(::kill(::getpid(), SIGUSR1));
      return;
    default:
      return post_some(home);
  }
}

void Actor::post_some(Home& home) {
  const Home::Visit visit(home);
  if (!visit) return std::this_thread::yield();
  const Ledger& ledger = visit.tenancy().ledger;
  if (ledger.posted() - ledger.runs() > kMostOutstanding) return std::this_thread::yield();
  for (std::size_t i = 1 + random_.below(64); i > 0; --i) {
    post_any(world_, home, visit.tenancy(), random_);
  }
}

void Actor::stop(Home& home, bool wait_for_it) {
  std::uint64_t returned = 0;
  {
    const Home::Visit visit(home);
    if (!visit) return;
    returned = home.returned;
    ++home.stops;
    stop_base(visit.base(), random_.one_in(2));
    if (visit.tenancy().drive == Drive::dormant) return;
  }
  if (!wait_for_it) return;
  wait("waits for a stop of", home, [&] { return home.returned > returned || home.ending; });
}

void Actor::raise_signal(Home& home) {
  const Home::Visit visit(home);
  if (visit) raise(home, visit.tenancy());
}

void Actor::raise(const Home& home, Tenancy& tenancy) {
  ++world_.figures.signals;
  ++tenancy.raised;
  std::raise(signal_of(home));
}

void end_from_outside(Home& home) {
  const Home::Visit visit(home);
  if (!visit || home.ending.exchange(true)) return;
  ++home.stops;
  stop_base(visit.base(), home.stops % 2 == 0);
}

void Actor::end_life(Home& home) {
  if (random_.one_in(4)) end_from_outside(home);
}

// Alone.

void Actor::act_alone(Home& home) {
  for (std::size_t i = random_.below(30); i > 0 && !world_.over; --i) {
    switch (random_.below(8)) {
      case 0:
        stop_alone(home);
        break;
      case 1:
        raise_alone(home);
        break;
      case 2:
      case 3:
        surprise_busy(home);
        break;
      case 4:
        surprise_resting(home);
        break;
      default:
        post_alone(home);
        break;
    }
  }
  if (!world_.over && random_.one_in(2)) end_alone(home);
}

// Where more than a stop makes the base return, it must not be about to: it is waited for until it
// waits.
void Actor::wait_until_it_waits(Home& home) {
  wait("waits for the owner of", home, [&] { return home.entered > home.returned; });
}

// What dispatch() runs does not end it; every other way to run a base returns after it.
void Actor::post_alone(Home& home) {
  const Home::Visit visit(home);
  if (!visit) return;
  Tenancy& tenancy = visit.tenancy();
  const bool returns = tenancy.drive != Drive::dispatch;
  if (returns) wait_until_it_waits(home);
  const std::uint64_t entered = home.entered;
  for (std::size_t i = 1 + random_.below(2); i > 0; --i) {
    const Slip slip = tenancy.ledger.issue(static_cast<Priority>(random_.below(3)));
    if (random_.one_in(2)) {
      tenancy.base->post(MoveOnly::make(slip), slip.priority);
    } else {
      tenancy.base->post(Small{slip}, slip.priority);
    }
    if (i > 1) pause();
  }
  wait("waits for a post to", home,
       [&] { return tenancy.ledger.all_ran() && (!returns || home.entered > entered); });
}

void Actor::stop_alone(Home& home) {
  const Home::Visit visit(home);
  if (!visit) return;
  if (visit.tenancy().drive != Drive::dispatch) wait_until_it_waits(home);
  const std::uint64_t returned = home.returned;
  ++home.stops;
  stop_base(visit.base(), random_.one_in(2));
  wait("waits for a stop of", home, [&] { return home.returned > returned; });
}

void Actor::raise_alone(Home& home) {
  const Home::Visit visit(home);
  if (!visit) return;
  Tenancy& tenancy = visit.tenancy();
  const bool returns = tenancy.drive != Drive::dispatch;
  if (returns) wait_until_it_waits(home);
  const std::uint64_t entered = home.entered;
  // One of a volley may come while the base takes the one before it.
  for (std::size_t i = random_.one_in(2) ? 1 : random_.below(40) + 1; i > 0; --i) {
    raise(home, tenancy);
  }
  wait("waits for a signal to", home,
       [&] { return tenancy.seen == tenancy.raised && (!returns || home.entered > entered); });
}

// What is asked of a base that is awake wakes nobody: it must see it before it sleeps.
void Actor::surprise_busy(Home& home) {
  const Home::Visit visit(home);
  if (!visit) return;
  Tenancy& tenancy = visit.tenancy();
  home.busy = true;
  const Slip holding = tenancy.ledger.issue(Priority::middle);
  tenancy.base->post(Holding{MoveOnly::make(holding), &home}, holding.priority);
  wait("waits for a post to", home, [&] { return tenancy.ledger.all_ran(); });
  const std::uint64_t returned = home.returned;
  const std::size_t what = random_.below(tenancy.drive == Drive::dispatch ? 3 : 2);
  if (what == 0) {
    const Slip slip = tenancy.ledger.issue(static_cast<Priority>(random_.below(3)));
    tenancy.base->post(Small{slip}, slip.priority);
  } else if (what == 1) {
    raise(home, tenancy);
  } else {
    ++home.stops;
    stop_base(*tenancy.base, random_.one_in(2));
  }
  home.busy = false;
  wait("waits for what it asked for while busy,", home,
       [&] { return tenancy.is_done() && (what < 2 || home.returned > returned); });
}

// A stop that finds nobody running the base is kept for the next one who does.
void Actor::surprise_resting(Home& home) {
  const Home::Visit visit(home);
  if (!visit || visit.tenancy().drive != Drive::dispatch) return;
  wait_until_it_waits(home);
  home.resting = true;
  for (int i = 0; i < 2; ++i) {
    const std::uint64_t returned = home.returned;
    ++home.stops;
    stop_base(visit.base(), random_.one_in(2));
    if (i > 0) home.resting = false;
    wait("waits for a stop at rest of", home, [&] { return home.returned > returned; });
  }
}

// Nobody else ends it, so it is there until the stop, or the function that stops it, has done its
// work: and then its owner may destroy it before the call that brought it about has returned.
void Actor::end_alone(Home& home) {
  Home::Visit visit(home);
  if (!visit) return;
  Tenancy& tenancy = visit.tenancy();
  ++home.stops;
  if (tenancy.drive != Drive::dispatch || random_.one_in(3)) {
    home.ending = true;
    return stop_base(visit.base(), random_.one_in(2));
  }
  ++world_.figures.ended_from_outside;
  wait_until_it_waits(home);  // and does not look whether it is to end
  if (random_.one_in(2)) {
    home.ending = true;
    return stop_base(visit.leave(), random_.one_in(2));
  }
  const std::uint64_t returned = home.returned;
  const Slip slip = tenancy.ledger.issue(Priority::middle);
  Base& base = visit.leave();
  base.post([slip, &home, &base] {
    slip.ledger->note_run(slip);
    home.ending = true;
    base.stop();
  });
  // Until then the next visitor would not know that it ends.
  wait("waits for the end of", home, [&] { return home.returned > returned; });
}

}  // namespace event_cpp::stress
