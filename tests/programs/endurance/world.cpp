#include "endurance/world.hpp"

#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "support/uninterrupted.hpp"

namespace event_cpp::endurance {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kSpins = 100'000;
// What fires again after less than this does so for a while only: time would hardly go on.
constexpr Duration kBrief = 1s;

constexpr std::size_t kThings = kKinds - 1;  // kinds of things: all but posts

}  // namespace

TimePoint WatchedTime::now() const noexcept {
  if (++asked_ > kSpins) {
    std::printf("FAILED: the base looks at its clock again and again, and runs nothing, at %lld\n",
                static_cast<long long>(ManualTime::now().time_since_epoch().count()));
    std::fflush(stdout);
    std::abort();
  }
  return ManualTime::now();
}

std::uint64_t Figures::all_fired() const noexcept {
  return std::accumulate(fired.begin(), fired.end(), std::uint64_t{0});
}

World::World(const Options& options, WatchedTime& time, Random& random, Figures& figures)
    : time_(time),
      random_(random),
      figures_(figures),
      base_(std::in_place, options),
      slack_(options.slack),
      oracle_(time.now(), time.wall(), slack_) {
  // Some know all kinds of things, some a single one: what others wake the base for would hide what
  // that one forgets.
  const std::size_t only = figures_.worlds % (2 * kThings);
  for (std::size_t kind = 0; kind < kThings; ++kind) {
    allowed_[kind] = only == kind || only > kThings || (only == kThings && random_.one_in(2));
  }
  if (only == kThings) allowed_[random_.below(kThings)] = true;
  allowed_[static_cast<std::size_t>(Kind::post)] = random_.one_in(2);
  embedded_ = random_.one_in(4);
  ++figures_.worlds;
}

// Base and events may go in either order.
World::~World() {
  if (random_.one_in(2)) things_.clear();
  base_.reset();
}

// Running the base.

void World::run(TimePoint end) {
  end_ = end;
  span_ = end - time_.now();
  longest_ = between(span_ / 800, span_, random_);
  const std::size_t things = 1 + random_.below(kMostThings);
  for (std::size_t i = 0; i < things; ++i) make();
  while (time_.now() < end) run_once();
  const Stats stats = base_->stats();
  oracle_.expect(stats.timers == oracle_.timeouts(), "of the base counts timeouts", 0,
                 static_cast<std::int64_t>(stats.timers),
                 static_cast<std::int64_t>(oracle_.timeouts()));
  figures_.iterations += stats.iterations;
}

void World::run_once() {
  for (std::size_t i = random_.below(4); i > 0; --i) act();
  see_to_it_that_time_goes_on();
  switch (random_.below(8)) {
    case 0:
      return loop(RunMode::nonblock, Look::stands);
    case 1:
    case 2:
      return step_by_next_timeout();
    case 3:
    case 4:
      return loop(RunMode::once, Look::moves);
    default:
      return loop(RunMode::forever, Look::moves);
  }
}

void World::loop(RunMode mode, Look look) {
  stopped_ = interrupted_ = false;
  oracle_.enter(look);
  try {
    base_->loop(mode);
  } catch (const Thrown&) {
  }
  figures_.interrupted += interrupted_ ? 1 : 0;
  time_.note_progress();
  oracle_.leave(interrupted_, time_.now());
  check();
  if (interrupted_ && random_.one_in(4)) stall();  // with callbacks left that are due since long
}

// As another loop runs this one: it sleeps as long as it may if nothing is readable, and no longer.
void World::step_by_next_timeout() {
  if (embedded_ && oracle_.busy() && base_->fd() >= 0) {
    pollfd polled{base_->fd(), POLLIN, 0};
    test::uninterrupted([&] { return ::poll(&polled, 1, 0); });
    oracle_.expect(polled.revents == POLLIN, "of the base: its descriptor shows nothing", 0);
  }
  const std::optional<Duration> left = base_->next_timeout();
  if (!oracle_.readable()) {
    const Duration until = oracle_.busy() ? Duration::zero() : oracle_.next() - oracle_.now();
    oracle_.expect(left.has_value(), "of the base: no timeout is pending", 0);
    oracle_.expect(*left <= std::max(until, Duration::zero()) + slack_,
                   "of the base: sleeping too long is allowed", 0, left->count(), until.count());
    oracle_.advance(*left);
    time_.advance(*left);
  }
  loop(RunMode::nonblock, Look::stands);
}

// What can be seen from outside.
void World::check() {
  oracle_.expect(base_->size() == oracle_.attached(), "of the base: its size is", 0,
                 static_cast<std::int64_t>(base_->size()),
                 static_cast<std::int64_t>(oracle_.attached()));
  if (things_.empty()) return;
  const Thing& thing = any();
  oracle_.expect(thing.deadline() == oracle_.deadline(thing.id), "has another deadline", thing.id);
}

// Callbacks.

void World::fire(Id id, Kind kind, Events fired) {
  Thing* const thing = find(id);
  const bool ticks = thing != nullptr && thing->ticker != nullptr;
  const std::uint64_t missed = ticks ? thing->ticker->missed() : 0;
  time_.note_progress();
  oracle_.fire(id, fired, base_->now(), missed);
  ++figures_.fired[static_cast<std::size_t>(kind)];
  figures_.missed += missed;
  if (thing != nullptr) {
    go_on(*thing, fired);
  } else if (kind == Kind::timer) {
    oracle_.destroy(id);  // it was of after()
  }
  finish_callback();
}

void World::go_on(Thing& thing, Events fired) {
  if (event::any(fired & Events::read)) take(thing);
  if (!oracle_.attached(thing.id)) {
    if (!random_.one_in(10)) attach(thing);
  } else if (thing.timeout() < kBrief && random_.one_in(20)) {
    detach(thing);
    attach(thing);
  }
}

void World::finish_callback() {
  while (random_.one_in(3)) act();
  see_to_it_that_time_goes_on();
  if (time_.now() >= end_ && !stopped_) {
    stopped_ = true;
    return base_->stop();
  }
  if (stopped_ || !random_.one_in(40)) return;
  stopped_ = true;
  switch (random_.below(3)) {
    case 0:
      return base_->stop();
    case 1:
      interrupted_ = true;
      return base_->stop_now();
    default:
      interrupted_ = true;
      throw Thrown();
  }
}

}  // namespace event_cpp::endurance
