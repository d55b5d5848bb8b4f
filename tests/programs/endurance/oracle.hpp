// What must fire, when, and in which order: told what the program does, and with a clock of its
// own.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <unordered_map>

#include "event/event.hpp"

namespace event_cpp::endurance {

// What is wrong, and what was done last.
class Wrong : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

using Id = std::uint32_t;

enum class Kind : std::uint8_t { timer, ticker, alarm, idle, post };
inline constexpr std::size_t kKinds = 5;

// How a base is run: whether it may move the time by itself.
enum class Look : std::uint8_t { moves, stands };

// A firing is expected with the iteration that it belongs to. An iteration begins with the first
// callback after the one before it has run everything that it had to; nothing but the base has
// moved the time since then, and it must have moved it to the earliest deadline, and no further.
class Oracle {
 public:
  Oracle(TimePoint now, WallTime wall, Duration slack);

  // What the program does.
  void advance(Duration by) { now_ += by; }
  void set_wall(WallTime to) { wall_offset_ = to.time_since_epoch() - now_.time_since_epoch(); }
  void create(Id id, Kind kind, Priority priority, bool persist);
  void destroy(Id id);
  void attach(Id id, Duration first, Duration period);
  void attach_alarm(Id id, WallTime when);
  void detach(Id id);
  void rearm(Id id, Duration timeout);
  void set_priority(Id id, Priority priority) { entry(id).priority = priority; }
  void feed(Id id, std::size_t bytes) { set_bytes(entry(id), id, entry(id).bytes + bytes); }
  void take(Id id, std::size_t bytes) { set_bytes(entry(id), id, entry(id).bytes - bytes); }
  void post(Id id);

  // What the base does. `now` is what it says the time is.
  void enter(Look look);
  void fire(Id id, Events fired, TimePoint now, std::uint64_t missed);
  void leave(bool interrupted, TimePoint now);

  // What the program may ask.
  TimePoint now() const noexcept { return now_; }
  WallTime wall() const noexcept { return WallTime(now_.time_since_epoch() + wall_offset_); }
  bool exists(Id id) const { return entries_.contains(id); }
  bool attached(Id id) const { return entries_.at(id).attached; }
  std::size_t bytes(Id id) const { return entries_.at(id).bytes; }
  std::optional<TimePoint> deadline(Id id) const;
  std::size_t attached() const noexcept { return attached_; }
  std::uint64_t timeouts() const noexcept { return timeouts_; }

  // Something would run without the time going on; and when something would for the time alone.
  bool busy() const noexcept { return !posts_.empty() || !readable_.empty() || anything_pending(); }
  bool readable() const noexcept { return !readable_.empty(); }
  TimePoint next() const { return std::min(next_timer(), next_alarm()); }

  // Says what is wrong, if `right` is false.
  void expect(bool right, const char* what, Id id, std::int64_t is = 0, std::int64_t shall_be = 0);
  void note(const char* what, Id id, std::int64_t value = 0);

 private:
  struct Entry {
    Kind kind = Kind::timer;
    Priority priority = Priority::middle;
    bool persist = false;
    bool attached = false;
    bool pending = false;  // fires in this iteration, or is left from one that was interrupted
    Priority pending_priority = Priority::middle;
    std::optional<TimePoint> deadline;  // by the clock of its kind
    std::uint64_t order = 0;            // of equal deadlines
    Duration period{};                  // of a ticker; an idle event's timeout
    std::uint64_t missed = 0;
    std::size_t bytes = 0;  // that wait to be read
  };
  struct Slot {
    Id id;
    Events fired;
    std::uint32_t group;  // of descriptors, which are ready in no order; 0 for everything else
  };
  struct Note {
    const char* what;
    Id id;
    std::int64_t value;
    TimePoint now;
  };
  using Deadlines = std::set<std::tuple<TimePoint, std::uint64_t, Id>>;

  Entry& entry(Id id);
  void set_deadline(Entry& entry, Id id, TimePoint deadline);
  void clear_deadline(Entry& entry, Id id);
  void set_bytes(Entry& entry, Id id, std::size_t bytes);
  void end_watch(Entry& entry, Id id);
  Slot* pending_slot(const Entry& entry, Id id);
  void call_off(Entry& entry, Id id, Events what);

  void begin_iteration(TimePoint now);
  void check_time(TimePoint now);
  void collect_readable();
  void collect_timers();
  void collect_alarms();
  void collect_posts();
  void make_pending(Entry& entry, Id id, Events fired, std::uint32_t group);
  void tick(Entry& entry, Id id);
  Slot take_slot(Id id);
  bool anything_pending() const noexcept;
  TimePoint next_timer() const;
  TimePoint next_alarm() const;
  [[noreturn]] void fail(const std::string& what) const;

  TimePoint now_;
  Duration wall_offset_{};
  const Duration slack_;
  std::unordered_map<Id, Entry> entries_;
  Deadlines timers_, alarms_;
  std::set<Id> readable_;  // attached, with bytes to read
  std::deque<Id> posts_;
  std::array<std::deque<Slot>, 3> pending_;
  TimePoint iteration_{};  // when the current one began
  Look look_ = Look::stands;
  bool fresh_ = true;  // the next callback begins an iteration, whatever is left of the last one
  std::uint32_t groups_ = 0;
  std::uint64_t orders_ = 0;
  std::size_t attached_ = 0;
  std::uint64_t timeouts_ = 0;
  std::array<Note, 64> notes_{};
  std::size_t noted_ = 0;
};

}  // namespace event_cpp::endurance
