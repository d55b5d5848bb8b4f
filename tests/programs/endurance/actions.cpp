// What a program does with its events, in callbacks and outside.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "endurance/world.hpp"

namespace event_cpp::endurance {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMostBytes = 2048;  // that wait in a channel

// Many are equal to another one's, if they are taken from here. As long as `most`, or one second.
Duration round_duration(Duration most, Random& random) {
  constexpr Duration kUnits[] = {1s, 1min, 1h, 24h};
  const Duration unit = kUnits[random.below(std::size(kUnits))];
  return (unit <= most ? unit : 1s) * (1 + static_cast<int>(random.below(3)));
}

}  // namespace

Duration between(Duration shortest, Duration longest, Random& random) {
  const double from = std::log(static_cast<double>(shortest.count()));
  const double to = std::log(static_cast<double>(longest.count()));
  const double part = static_cast<double>(random.below(1'000'003)) / 1'000'003;
  return Duration(static_cast<Duration::rep>(std::exp(from + part * (to - from))));
}

std::optional<TimePoint> World::Thing::deadline() const {
  if (alarm == nullptr) return watch().deadline();
  const std::optional<WallTime> wall = alarm->deadline();
  return wall ? std::optional(TimePoint(wall->time_since_epoch())) : std::nullopt;
}

void World::act() {
  const std::size_t choice = random_.below(100);
  if (choice < 5) return make();
  if (choice < 15) return post();
  if (choice < 20) return call_after();
  if (choice < 23) return set_clock();
  if (choice < 25) return stall();
  if (choice < 50) return feed();
  if (things_.empty()) return;
  Thing& thing = any();
  if (choice < 55) return destroy(thing);
  if (choice < 60) return set_priority(thing);
  if (!thing.attached()) return attach(thing);
  if (choice < 70) return detach(thing);
  rearm(thing);
}

Kind World::any_kind() {
  for (;;) {
    const auto kind = static_cast<Kind>(random_.below(kKinds - 1));
    if (allows(kind)) return kind;
  }
}

void World::make() {
  if (things_.size() >= kMostThings) return;
  auto made = std::make_unique<Thing>();
  const Id id = made->id = next_id_++;
  const Kind kind = made->kind = any_kind();
  const auto priority = static_cast<Priority>(random_.below(3));
  const auto callback = [this, id, kind](Events fired) { fire(id, kind, fired); };
  switch (kind) {
    case Kind::timer:
      made->event = std::make_unique<Timer>(*base_, callback, priority);
      break;
    case Kind::ticker:
      made->ticker = std::make_unique<Ticker>(*base_, callback, priority);
      made->persist = true;
      break;
    case Kind::alarm:
      made->alarm = std::make_unique<Alarm>(
          *base_, [this, id] { fire(id, Kind::alarm, Events::timeout); }, priority);
      break;
    default:
      made->channel = std::make_unique<Channel>(random_.one_in(2));
      made->persist = !random_.one_in(4);
      made->event = std::make_unique<Event>(
          *base_, made->channel->fd(),
          made->persist ? Events::read | Events::persist : Events::read, callback, priority);
  }
  oracle_.create(id, kind, priority, made->persist);
  things_.push_back(std::move(made));
  attach(*things_.back());
}

void World::destroy(Thing& thing) {
  ++figures_.destroyed;
  oracle_.destroy(thing.id);
  const auto found = std::ranges::find(things_, &thing, &std::unique_ptr<Thing>::get);
  const auto gone = std::exchange(*found, std::move(things_.back()));
  things_.pop_back();
}

World::Thing* World::find(Id id) {
  for (const auto& thing : things_) {
    if (thing->id == id) return thing.get();
  }
  return nullptr;
}

void World::attach(Thing& thing) {
  switch (thing.kind) {
    case Kind::alarm: {
      const WallTime when = time_of_day();
      thing.alarm->attach(std::chrono::time_point_cast<WallTime::duration>(when));
      return oracle_.attach_alarm(thing.id, when);
    }
    case Kind::ticker: {
      const Duration each = period();
      const Duration first = random_.one_in(2) ? each : duration();
      first == each ? thing.ticker->attach(each) : thing.ticker->attach(first, each);
      return oracle_.attach(thing.id, first, each);
    }
    case Kind::timer:
      return attach(thing, duration());
    default:
      return attach(thing, period());
  }
}

// For one-shot timers, idle timeouts and alarms.
void World::attach(Thing& thing, Duration after) {
  if (thing.kind == Kind::alarm) {
    const WallTime when = oracle_.wall() + after;
    thing.alarm->attach(when);
    return oracle_.attach_alarm(thing.id, when);
  }
  thing.event->attach(after);
  oracle_.attach(thing.id, after, after);
}

void World::detach(Thing& thing) {
  figures_.cancelled += thing.attached() ? 1 : 0;
  const bool was = thing.alarm != nullptr ? thing.alarm->detach() : thing.watch().detach();
  oracle_.expect(was == oracle_.attached(thing.id), "says that it was attached or not:", thing.id,
                 was ? 1 : 0);
  oracle_.detach(thing.id);
}

void World::rearm(Thing& thing) {
  if (thing.kind == Kind::alarm) {
    detach(thing);
    return attach(thing);
  }
  const Duration timeout = thing.kind == Kind::timer ? duration() : period();
  const std::optional<TimePoint> before = oracle_.deadline(thing.id);
  thing.watch().rearm(timeout);
  oracle_.rearm(thing.id, timeout);
  const bool later = before && oracle_.deadline(thing.id) >= before;
  ++(later ? figures_.pushed_later : figures_.pushed_earlier);
}

void World::set_priority(Thing& thing) {
  const auto priority = static_cast<Priority>(random_.below(3));
  thing.alarm != nullptr ? thing.alarm->set_priority(priority)
                         : thing.watch().set_priority(priority);
  oracle_.set_priority(thing.id, priority);
}

// Somebody on the other side says something.
void World::feed() {
  if (things_.empty()) return;
  const Thing& thing = any();
  if (thing.kind != Kind::idle || oracle_.bytes(thing.id) > kMostBytes) return;
  const std::size_t bytes = 1 + random_.below(64);
  thing.channel->write(bytes);
  oracle_.note("feed", thing.id, static_cast<std::int64_t>(bytes));
  oracle_.feed(thing.id, bytes);
}

void World::take(Thing& thing) {
  const std::size_t there = oracle_.bytes(thing.id);
  const std::size_t most = random_.one_in(8) ? 1 : 2 * kMostBytes;
  const std::size_t got = thing.channel->read(most);
  oracle_.expect(got == std::min(there, most), "reads so many bytes:", thing.id,
                 static_cast<std::int64_t>(got), static_cast<std::int64_t>(there));
  oracle_.take(thing.id, got);
}

void World::call_after() {
  if (!allows(Kind::timer)) return;
  const Id id = next_id_++;
  const Duration delay = duration();
  oracle_.create(id, Kind::timer, Priority::middle, false);
  oracle_.attach(id, delay, delay);
  base_->after(delay, [this, id](Events fired) { fire(id, Kind::timer, fired); });
}

void World::post() {
  if (!allows(Kind::post)) return;
  const Id id = next_id_++;
  const auto priority = static_cast<Priority>(random_.below(3));
  oracle_.create(id, Kind::post, priority, false);
  oracle_.post(id);
  base_->post([this, id] { fire(id, Kind::post, Events::none); }, priority);
}

// A callback that takes its time, or a program that did something else.
void World::stall() {
  ++figures_.stalls;
  const Duration by =
      random_.one_in(4) ? round_duration(span_ / 8, random_) : between(1ns, 2 * longest_, random_);
  oracle_.note("stall", 0, by.count());
  oracle_.advance(by);
  time_.advance(by);
}

void World::set_clock() {
  const WallTime from = oracle_.wall();
  const WallTime to = set_by_chance(from, random_);
  ++(to > from ? figures_.jumps_forward : figures_.jumps_back);
  oracle_.note("set the clock", 0, (to - from).count());
  time_.set_wall(to);
  oracle_.set_wall(to);
}

// With nothing but alarms of another year, or century, it would go on too far.
void World::see_to_it_that_time_goes_on() {
  if (oracle_.busy() || oracle_.next() - oracle_.now() < span_) return;
  if (things_.empty()) make();
  Thing& thing = any();
  if (thing.attached()) detach(thing);
  if (thing.kind == Kind::ticker) return attach(thing);
  attach(thing, between(1s, longest_, random_));
}

Duration World::duration() {
  if (random_.one_in(20)) return Duration::zero();
  if (random_.one_in(5)) return round_duration(span_ / 8, random_);
  return between(1us, longest_, random_);
}

// Never zero: an idle event would wait for ever, and a ticker never let the time go on.
Duration World::period() {
  if (random_.one_in(50)) return between(1ns, 1ms, random_);
  if (random_.one_in(5)) return std::max(round_duration(span_ / 8, random_), span_ / 3000);
  return between(span_ / 3000, span_, random_);
}

WallTime World::time_of_day() {
  if (random_.one_in(10)) return oracle_.wall() - duration();
  if (random_.one_in(5)) return calendar_date(oracle_.wall(), random_);
  return oracle_.wall() + duration();
}

}  // namespace event_cpp::endurance
