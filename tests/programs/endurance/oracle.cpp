#include "endurance/oracle.hpp"

#include <algorithm>
#include <sstream>
#include <utility>

namespace event_cpp::endurance {
namespace {

constexpr const char* kKindNames[kKinds] = {"timer", "ticker", "alarm", "idle timeout", "post"};

std::size_t index(Priority priority) { return static_cast<std::size_t>(priority); }

}  // namespace

Oracle::Oracle(TimePoint now, WallTime wall, Duration slack) : now_(now), slack_(slack) {
  set_wall(wall);
}

// What the program does.

Oracle::Entry& Oracle::entry(Id id) { return entries_.at(id); }

void Oracle::create(Id id, Kind kind, Priority priority, bool persist) {
  Entry made;
  made.kind = kind;
  made.priority = priority;
  made.persist = persist;
  entries_.emplace(id, made);
}

void Oracle::destroy(Id id) {
  note("destroy", id);
  detach(id);
  entries_.erase(id);
}

void Oracle::attach(Id id, Duration first, Duration period) {
  note("attach", id, first.count());
  Entry& to = entry(id);
  to.attached = true;
  ++attached_;
  to.period = period;
  set_deadline(to, id, now_ + first);
  set_bytes(to, id, to.bytes);
}

void Oracle::attach_alarm(Id id, WallTime when) {
  note("attach alarm", id, when.time_since_epoch().count());
  Entry& to = entry(id);
  to.attached = true;
  ++attached_;
  set_deadline(to, id, TimePoint(when.time_since_epoch()));
}

void Oracle::detach(Id id) {
  note("detach", id);
  Entry& of = entry(id);
  call_off(of, id, ~Events::none);
  if (of.attached) end_watch(of, id);
}

void Oracle::end_watch(Entry& of, Id id) {
  of.attached = false;
  --attached_;
  clear_deadline(of, id);
  readable_.erase(id);
}

void Oracle::rearm(Id id, Duration timeout) {
  note("rearm", id, timeout.count());
  Entry& of = entry(id);
  call_off(of, id, Events::timeout);
  of.period = timeout;
  set_deadline(of, id, now_ + timeout);
}

void Oracle::post(Id id) {
  note("post", id);
  posts_.push_back(id);
}

void Oracle::set_deadline(Entry& of, Id id, TimePoint deadline) {
  clear_deadline(of, id);
  of.deadline = deadline;
  of.order = ++orders_;
  (of.kind == Kind::alarm ? alarms_ : timers_).emplace(deadline, of.order, id);
}

void Oracle::clear_deadline(Entry& of, Id id) {
  if (!of.deadline) return;
  (of.kind == Kind::alarm ? alarms_ : timers_).erase({*of.deadline, of.order, id});
  of.deadline.reset();
}

void Oracle::set_bytes(Entry& of, Id id, std::size_t bytes) {
  of.bytes = bytes;
  if (of.attached && bytes > 0) {
    readable_.insert(id);
  } else {
    readable_.erase(id);
  }
}

Oracle::Slot* Oracle::pending_slot(const Entry& of, Id id) {
  auto& queue = pending_[index(of.pending_priority)];
  const auto found = std::ranges::find(queue, id, &Slot::id);
  return found != queue.end() ? &*found : nullptr;
}

void Oracle::call_off(Entry& of, Id id, Events what) {
  if (!of.pending) return;
  Slot* const slot = pending_slot(of, id);
  slot->fired &= ~what;
  if (any(slot->fired)) return;
  std::erase_if(pending_[index(of.pending_priority)],
                [id](const Slot& each) { return each.id == id; });
  of.pending = false;
}

// What the base does.

void Oracle::enter(Look look) {
  note("enter", 0);
  look_ = look;
  fresh_ = true;
}

void Oracle::fire(Id id, Events fired, TimePoint now, std::uint64_t missed) {
  if (fresh_ || !anything_pending()) begin_iteration(now);
  fresh_ = false;
  note("fires", id, static_cast<std::int64_t>(fired));
  expect(now == iteration_, "the time changed within an iteration, and fired", id,
         now.time_since_epoch().count(), iteration_.time_since_epoch().count());
  const Slot slot = take_slot(id);
  expect(slot.fired == fired, "is told something else:", id, static_cast<std::int64_t>(fired),
         static_cast<std::int64_t>(slot.fired));
  Entry& of = entry(id);
  of.pending = false;
  if (of.kind == Kind::ticker) {
    expect(missed == of.missed, "counts what it missed wrongly:", id,
           static_cast<std::int64_t>(missed), static_cast<std::int64_t>(of.missed));
  } else if (of.kind == Kind::idle && of.persist) {
    set_deadline(of, id, iteration_ + of.period);
  } else if (of.kind == Kind::post) {
    entries_.erase(id);
  } else {
    end_watch(of, id);
  }
}

// The loop has returned; `interrupted` if by stop_now() or by what a callback has thrown.
void Oracle::leave(bool interrupted, TimePoint now) {
  if (interrupted) return;
  if (fresh_ && look_ == Look::stands) begin_iteration(now);  // in which nothing has run
  if (fresh_ && look_ == Look::moves && (attached_ > 0 || busy())) fail("the loop gives up");
  fresh_ = false;
  for (const auto& queue : pending_) {
    if (!queue.empty()) expect(false, "did not fire:", queue.front().id);
  }
}

// The first thing that runs in an iteration: what comes with it?
void Oracle::begin_iteration(TimePoint now) {
  check_time(now);
  now_ = iteration_ = now;
  ++groups_;
  collect_readable();
  collect_timers();
  collect_alarms();
  collect_posts();
}

// Exactly when it must: at once if there is anything to do, else at the earliest deadline.
void Oracle::check_time(TimePoint now) {
  TimePoint earliest = now_;
  TimePoint latest = now_;
  if (look_ == Look::moves && !busy()) {
    earliest = std::max(now_, next());
    latest = next_timer() < TimePoint::max() - slack_ ? next_timer() + slack_ : TimePoint::max();
    latest = std::max(now_, std::min(latest, next_alarm()));
  }
  const auto nanoseconds = [](Duration time) { return std::to_string(time.count()) + " ns"; };
  if (now < earliest) fail("an iteration runs " + nanoseconds(earliest - now) + " early");
  if (now > latest) fail("an iteration runs " + nanoseconds(now - latest) + " late");
}

void Oracle::collect_readable() {
  for (const Id id : readable_) make_pending(entry(id), id, Events::read, groups_);
}

void Oracle::collect_timers() {
  while (!timers_.empty() && std::get<TimePoint>(*timers_.begin()) <= now_) {
    const Id id = std::get<Id>(*timers_.begin());
    Entry& of = entry(id);
    ++timeouts_;
    if (of.kind == Kind::ticker) {
      tick(of, id);
    } else {
      clear_deadline(of, id);
    }
    make_pending(of, id, Events::timeout, 0);
  }
}

// On its schedule, however late: the periods that have passed whole are missed.
void Oracle::tick(Entry& of, Id id) {
  const auto whole = static_cast<std::uint64_t>((now_ - *of.deadline) / of.period);
  of.missed = of.pending ? of.missed + 1 + whole : whole;
  set_deadline(of, id, *of.deadline + (static_cast<Duration::rep>(whole) + 1) * of.period);
}

void Oracle::collect_alarms() {
  const TimePoint come(wall().time_since_epoch());
  while (!alarms_.empty() && std::get<TimePoint>(*alarms_.begin()) <= come) {
    const Id id = std::get<Id>(*alarms_.begin());
    ++timeouts_;
    clear_deadline(entry(id), id);
    make_pending(entry(id), id, Events::timeout, 0);
  }
}

void Oracle::collect_posts() {
  for (const Id id : std::exchange(posts_, {})) make_pending(entry(id), id, Events::none, 0);
}

void Oracle::make_pending(Entry& of, Id id, Events fired, std::uint32_t group) {
  if (of.pending) {
    pending_slot(of, id)->fired |= fired;
    return;
  }
  of.pending = true;
  of.pending_priority = of.priority;
  pending_[index(of.priority)].push_back({id, fired, group});
}

// Out of its place in the order: first of the highest priority, or ready together with the first.
Oracle::Slot Oracle::take_slot(Id id) {
  if (!entries_.contains(id)) fail("something fires that is gone: " + std::to_string(id));
  for (auto& queue : pending_) {
    if (queue.empty()) continue;
    const std::uint32_t group = queue.front().group;
    for (auto slot = queue.begin(); slot != queue.end(); ++slot) {
      if (slot != queue.begin() && (group == 0 || slot->group != group)) break;
      if (slot->id != id) continue;
      const Slot taken = *slot;
      queue.erase(slot);
      return taken;
    }
    expect(false, "fires, not the one whose turn it is:", id, id, queue.front().id);
  }
  expect(false, "fires though nothing is due:", id);
  return {};
}

bool Oracle::anything_pending() const noexcept {
  return !pending_[0].empty() || !pending_[1].empty() || !pending_[2].empty();
}

TimePoint Oracle::next_timer() const {
  return timers_.empty() ? TimePoint::max() : std::get<TimePoint>(*timers_.begin());
}

// By the clock that goes on, as the wall clock is set now.
TimePoint Oracle::next_alarm() const {
  return alarms_.empty() ? TimePoint::max() : std::get<TimePoint>(*alarms_.begin()) - wall_offset_;
}

std::optional<TimePoint> Oracle::deadline(Id id) const { return entries_.at(id).deadline; }

// What is wrong.

void Oracle::note(const char* what, Id id, std::int64_t value) {
  notes_[noted_++ % notes_.size()] = {what, id, value, now_};
}

void Oracle::expect(bool right, const char* what, Id id, std::int64_t is, std::int64_t shall_be) {
  if (right) return;
  const auto found = entries_.find(id);
  const char* const kind =
      found != entries_.end() ? kKindNames[static_cast<std::size_t>(found->second.kind)] : "event";
  std::ostringstream out;
  out << kind << " " << id << " " << what << " " << is << ", and should be " << shall_be;
  fail(out.str());
}

void Oracle::fail(const std::string& what) const {
  std::ostringstream out;
  out << what << "\nat " << now_.time_since_epoch().count() << ", wall clock "
      << wall().time_since_epoch().count() << ", after:";
  const std::size_t count = std::min(noted_, notes_.size());
  for (std::size_t i = noted_ - count; i < noted_; ++i) {
    const Note& each = notes_[i % notes_.size()];
    out << "\n  " << each.now.time_since_epoch().count() << " " << each.what << " " << each.id
        << " " << each.value;
  }
  throw Wrong(out.str());
}

}  // namespace event_cpp::endurance
