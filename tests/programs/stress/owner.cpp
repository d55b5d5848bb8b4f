#include "stress/owner.hpp"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <thread>

#include "stress/functions.hpp"
#include "support/uninterrupted.hpp"

namespace event_cpp::stress {

using namespace std::chrono_literals;

int signal_of(const Home& home) noexcept {
#ifdef SIGRTMIN
  if (home.lonely) return SIGRTMIN + static_cast<int>(home.number);
#endif
  return SIGUSR1;
}

Owner::Owner(World& world, std::size_t home)
    : world_(world),
      home_(world.homes[home]),
      doing_(world.doing[world.settings.actors + home]),
      random_(world.settings.seed * 1000 + 500 + static_cast<unsigned>(home)),
      poster_(static_cast<std::uint8_t>(world.settings.actors + home)) {}

void Owner::run() {
  this_poster = poster_;
  while (!world_.over) {
    std::unique_ptr<Tenancy> tenancy = furnish();
    home_.move_in(*tenancy);
    drive(*tenancy);
    doing_.begin("waits for visitors to leave", home_.number);
    home_.move_out();
    if (random_.one_in(3)) {
      ++world_.figures.handed_over;
      world_.hand_over(std::move(tenancy));
    } else {
      doing_.begin("destroys the base of", home_.number);
      bury(world_, std::move(tenancy), random_, random_.one_in(2));
    }
    doing_.end();
  }
}

std::unique_ptr<Tenancy> Owner::furnish() {
  auto tenancy = std::make_unique<Tenancy>(world_.posters());
  Tenancy& made = *tenancy;
  Options options;
  options.backend = world_.settings.backends[random_.below(world_.settings.backends.size())];
  if (random_.one_in(3)) options.slice = 1 + random_.below(8);
  options.timing = random_.one_in(4);
  made.base = std::make_unique<Base>(options);
  made.drive = static_cast<Drive>(random_.below(home_.lonely ? kDrives - 1 : kDrives));
  const bool has_descriptor = made.base->backend() != Backend::poll;
  if (!has_descriptor && (made.drive == Drive::polled || made.drive == Drive::nested)) {
    made.drive = Drive::once;
  }
  made.signal.emplace(
      *made.base, signal_of(home_), [&made] { made.seen.store(made.raised.load()); },
      static_cast<Priority>(random_.below(3)));
  made.signal->keep_alive(false);
  made.signal->attach();
  if (!home_.lonely && made.drive <= Drive::polled && random_.one_in(2)) {
    made.ticker.emplace(
        *made.base, [] {}, static_cast<Priority>(random_.below(3)));
    made.ticker->keep_alive(false);
    made.ticker->attach(Duration(100'000 + random_.below(3'000'000)));
  }
  return tenancy;
}

void Owner::drive(Tenancy& tenancy) {
  switch (tenancy.drive) {
    case Drive::dispatch:
      return drive_by_loop(*tenancy.base, RunMode::keep_alive);
    case Drive::once:
      return drive_by_loop(*tenancy.base, RunMode::once | RunMode::keep_alive);
    case Drive::polled:
      return drive_by_poll(*tenancy.base);
    case Drive::nested:
      return drive_by_base(*tenancy.base);
    case Drive::dormant:
      while (!home_.ending) std::this_thread::sleep_for(200us);
  }
}

// Runs the base once, and counts.
void Owner::turn(Base& base, RunMode mode) {
  try {
    base.loop(mode);
  } catch (const Thrown&) {
    ++world_.figures.thrown;
  }
  ++home_.returned;
  ++world_.figures.returns;
  Home::wait_while(home_.resting);
}

void Owner::drive_by_loop(Base& base, RunMode mode) {
  do {
    enter();
    turn(base, mode);
  } while (!home_.ending);
}

void Owner::drive_by_poll(Base& base) {
  pollfd polled{base.fd(), POLLIN, 0};
  do {
    enter();
    const std::optional<Duration> left = base.next_timeout();
    const auto milliseconds =
        left ? std::chrono::ceil<std::chrono::milliseconds>(std::min<Duration>(*left, 1h)).count()
             : -1;
    test::uninterrupted([&] { return ::poll(&polled, 1, static_cast<int>(milliseconds)); });
    turn(base, RunMode::nonblock);
  } while (!home_.ending);
}

void Owner::drive_by_base(Base& base) {
  Options options;
  options.backend = world_.settings.backends[random_.below(world_.settings.backends.size())];
  Base outer(options);
  Event ready(outer, base.fd(), Events::read | Events::persist, [&] {
    turn(base, RunMode::nonblock);
    if (home_.ending) {
      outer.stop();
    } else {
      enter();
    }
  });
  ready.attach();
  enter();
  outer.dispatch();
}

}  // namespace event_cpp::stress
