// What a random test expects of its events: which must fire in an iteration, and what they are
// told.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "event/event.hpp"
#include "support/model_files.hpp"

namespace event::test {

inline constexpr Events kDescriptorConditions = Events::read | Events::write | Events::closed;

// An event as the test has made it.
struct ModelEvent {
  Events mask = Events::none;
  int fd = -1;
  int file = -1;  // the id of what it watched when it was attached last; -1 before
  bool attached = false;
  bool astray = false;   // its file was closed while it was attached,
  bool haunted = false;  // but has a duplicate, and the kernel may still report it
  Duration timeout{};
  std::optional<TimePoint> deadline;
  Priority priority = Priority::middle;
  Events activated = Events::none;                 // by hand, and has not run since
  Priority activated_priority = Priority::middle;  // which it had then
  unsigned attached_as = 0;                        // counts attaches

  bool on_descriptor() const { return any(mask & kDescriptorConditions); }
  bool persists() const { return any(mask & Events::persist); }
  bool is_ticker() const { return persists() && !on_descriptor(); }

  void attach(TimePoint now, Duration after, unsigned count, int file_id);
  void detach();
  void rearm(TimePoint now, Duration after);
  void activate(Events what);
  void assign(int number, Events what);
};

// What an event is to be told in this iteration.
struct Due {
  enum class Source { hand, descriptor, timer };

  Events must = Events::none;
  Events may = Events::none;  // beyond that
  Priority priority = Priority::middle;
  Source source = Source::hand;
  int file = -1;
  unsigned attached_as = 0;
  TimePoint deadline;
};

// One iteration: begun with what is true when the base looks at the kernel, it is told what
// callbacks do and which run, and says what is wrong; an empty string if nothing is.
class ModelTurn {
 public:
  void begin(std::map<int, ModelEvent>& events, ModelFiles& files, TimePoint now);

  // Callbacks that take something off this iteration.
  void forget(int id) { due_.erase(id); }
  void forget_timeout(int id);
  bool is_due(int id) const { return due_.contains(id); }

  std::string ran(int id, ModelEvent& event, Events fired);
  std::string ran_posted(Priority priority);
  std::string end() const;

 private:
  std::string in_order(const Due& now) const;

  TimePoint now_;
  std::map<int, Due> due_;
  std::vector<Due> order_;  // that have run
  std::optional<Priority> posted_;
};

}  // namespace event::test
