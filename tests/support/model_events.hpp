// What a random test expects of its events: which must fire in an iteration, and what they are
// told.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "event/event.hpp"
#include "support/model_files.hpp"

namespace event_cpp::test {

inline constexpr Events kDescriptorConditions =
    Events::read | Events::write | Events::closed | Events::error;

// An event as the test has made it.
struct ModelEvent {
  // The test holds it and may do anything to it; the base owns it, as of after() and once(); or it
  // is there so that a run comes to an end.
  enum class Kind { held, ticker, owned, bound };

  Kind kind = Kind::held;
  Events mask = Events::none;
  int fd = -1;    // of a signal its number
  int file = -1;  // the id of what it watched when it was attached last; -1 before
  bool attached = false;
  bool keeps_alive = true;
  bool astray = false;   // its file was closed while it was attached,
  bool haunted = false;  // but has a duplicate, and the kernel may still report it
  bool timed = false;    // it has a deadline, or had one that has come to pass and not yet run
  Duration timeout{};
  std::optional<TimePoint> deadline;
  std::uint64_t timed_as = 0;  // counts deadlines that were set
  std::uint64_t missed = 0;    // of a ticker
  Priority priority = Priority::middle;
  std::uint64_t attached_as = 0;  // counts attaches

  bool on_descriptor() const { return any(mask & kDescriptorConditions); }
  bool on_signal() const { return any(mask & Events::signal); }
  bool persists() const { return any(mask & Events::persist); }
  bool is_ticker() const { return persists() && !on_descriptor() && !on_signal(); }

  // `count` is ModelTurn::count().
  void attach(TimePoint now, Duration first, Duration after, int file_id, std::uint64_t count);
  void detach();
  void rearm(TimePoint now, Duration after, std::uint64_t count);
  void assign(int number, Events what);
  void set_deadline(std::optional<TimePoint> at, std::uint64_t count);
};

using ModelEvents = std::map<int, ModelEvent>;

// What an event is to be told, since when, and what decides on its turn.
struct Due {
  enum class Source { hand, descriptor, timer, signal, post };

  Events must = Events::none;
  Events may = Events::none;  // beyond that
  Priority priority = Priority::middle;
  std::uint64_t since = 0;       // it may be active,
  std::uint64_t must_since = 0;  // and is so for certain
  bool certain = true;           // at any time since then
  Source source = Source::hand;
  int file = -1;
  std::uint64_t attached_as = 0;
  TimePoint deadline;
  std::uint64_t timed_as = 0;
  bool ticked = false;  // a period of a ticker has ended

  void add(Events what, Events possible, std::uint64_t when) {
    if (!any(must)) must_since = when;
    must |= what;
    may |= possible;
    certain = certain && any(must);
  }
  void remove(Events what) {
    must &= ~what;
    may &= ~what;
    certain = certain && any(must);
  }

  // An event that perhaps became active has its turn from then on, or from when it became active
  // for certain. Which of them stays unknown, also after what was uncertain is called off.
  bool has_known_turn() const { return certain && !any(may); }
};

// What is active at any time. It is told when the base looks at the kernel, what callbacks do and
// which run, and says what is wrong; an empty string if nothing is.
class ModelTurn {
 public:
  struct Post {
    int number;
    std::uint64_t since;  // became active; 0: not yet
  };

  // `sliced`: the base looks at the kernel in the middle of a batch, too, and then what a priority
  // had to run goes on, even if that look has brought something more urgent.
  explicit ModelTurn(bool sliced) : sliced_(sliced) {}

  // A run begins, at first with what an earlier one has left.
  void start(TimePoint now);
  // The base looks: what is true now becomes active, and what was activated since the last look is
  // in this one's turn.
  void look(ModelEvents& events, ModelFiles& files, TimePoint now);
  // What was activated since the last look is in its turn as well: a hook did it before the turn.
  void extend() { boundary_ = count(); }
  // The time of this iteration.
  TimePoint now() const { return now_; }

  // What is left though its turn has come.
  std::string left() const;

  void activate(int id, const ModelEvent& event, Events what);
  void post(Priority priority, int number) { posts_[index(priority)].push_back({number, 0}); }
  void raise(int signo) { raised_[signo] = count(); }
  void forget_signals() { raised_.clear(); }

  // What takes something off its turn, or makes it uncertain.
  void forget(int id) { due_.erase(id); }
  void forget_timeout(int id);
  void forget_doubts(int id);
  void forget_conditions(int id, Events which);  // of a descriptor: they are not asked for any more

  std::string ran(int id, ModelEvent& event, Events fired);
  std::string ran_posted(Priority priority, int number);

  bool is_active() const;  // for certain
  bool is_uncertain(int id) const;
  bool is_posted() const;
  bool is_raised() const { return !raised_.empty(); }

  // Counts what must be told apart by its order.
  std::uint64_t count() { return ++count_; }

 private:
  static std::size_t index(Priority priority) { return static_cast<std::size_t>(priority); }
  Due& become_active(int id, const ModelEvent& event, Due::Source source);
  void look_at_files(ModelEvents& events, ModelFiles& files);
  void look_at_timers(ModelEvents& events);
  void look_at_signals(ModelEvents& events);
  void expire(int id, ModelEvent& event);
  std::string in_turn(const Due& now, bool among_events) const;
  bool is_first_in_turn(const std::deque<Post>& posts) const;
  std::uint64_t in_order_until() const { return sliced_ ? first_boundary_ : boundary_; }

  const bool sliced_;
  TimePoint now_;
  std::uint64_t count_ = 0;
  std::uint64_t boundary_ = 0;
  std::uint64_t first_boundary_ = 0;
  bool looked_ = false;
  std::map<int, Due> due_;
  std::array<std::deque<Post>, 3> posts_;
  std::map<int, std::uint64_t> raised_;  // signals, and what had been attached by then
};

}  // namespace event_cpp::test
