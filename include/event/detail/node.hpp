// The part of an event that the loop works on. Users hold an Event, which is one of these.
#pragma once

#include <cstdint>

#include "event/detail/callable.hpp"
#include "event/event_mask.hpp"
#include "event/time.hpp"

namespace event_cpp::detail {

class Loop;
struct Node;

// The kind of a node.
enum class NodeKind : std::uint8_t {
  event,     // a user's: a descriptor, a signal, or a time on the base's clock
  alarm,     // a user's: its deadline is a time of the wall clock
  internal,  // the loop's own
};

// What a node's callable can do; one table per type of callable, shared by all nodes that hold it.
struct NodeOps {
  void (*call)(Node& node, Events fired);
  void (*destroy)(Storage& callable) noexcept;  // null: nothing to destroy
  NodeKind kind;
  // For a ticker: counts periods that were skipped before the call that is due now. `pending`: the
  // previous call has not run yet, and is merged with it. Null: not a ticker.
  void (*add_missed)(Node& node, std::uint64_t skipped, bool pending) noexcept;
};

// Where the timer queue stores the data of a node.
enum class TimerForm : std::uint8_t {
  none,      // not in the timer queue
  extended,  // its heap entry has an extension
  compact,   // its heap entry has none: `sequence` replaces the descriptor
};

// Size matters here: an event with its table entry, and a timer with its heap node, must be smaller
// than in any other library. So a node contains only what every event needs. More data of timed or
// active events is in the timer queue and the active queues.
struct Node {
  static constexpr std::uint32_t kNowhere = 0xffffffff;

  // All known bits. Other bits that a user passes are dropped.
  static constexpr Events kSettable =
      Events::read | Events::write | Events::timeout | Events::persist | Events::signal |
      Events::closed | Events::urgent | Events::error | Events::edge | Events::exclusive;

  // `timeout` of a node with an absolute deadline: it has no timeout that could restart.
  static constexpr Duration kAbsolute{-1};

  // An internal flag in `events`: the node watches the process whose ID is in `descriptor`. It has
  // Events::signal as well, since `descriptor` is not an fd. Users cannot set it.
  static constexpr Events kOnProcess{0x0800};

  // An internal flag in `fired`: a ticker fires because a period has ended.
  static constexpr Events kTicked = Events::persist;

  // Ordered by use: members for timers, for every call, and for firing. So none of these touches
  // the whole node, which may lie in two cache lines.
  Duration timeout{};  // as given to attach() or rearm(), never negative; or kAbsolute
  Loop* loop = nullptr;
  union {
    int descriptor;          // unless timer_form is compact
    std::uint32_t sequence;  // then: the descriptor is -1
  };
  std::uint32_t timer = kNowhere;   // index in the heap of the timer queue
  std::uint32_t active = kNowhere;  // position in an active queue: index and queue, see ActiveQueue
  Events events = Events::none;
  std::uint8_t fired = 0;  // conditions that became true since the event was queued
  Priority priority : 2 = Priority::middle;
  TimerForm timer_form : 2 = TimerForm::none;
  bool attached : 1 = false;
  bool keeps_alive : 1 = true;
  bool linked : 1 = false;  // in the fd table: attached, or detached and still registered
  bool stale : 1 = false;   // its file was closed while it was attached: only a timeout fires it
  const NodeOps* ops = nullptr;
  Storage callable;

  Node(const NodeOps* node_ops, Loop* owner, int fd, Events mask, Priority level) noexcept
      : loop(owner),
        descriptor(fd),
        events(mask & kSettable),
        priority(valid(level)),
        ops(node_ops) {}

  // An invalid value counts as low, since queues are indexed with it.
  static constexpr Priority valid(Priority level) noexcept {
    return level < Priority::low ? level : Priority::low;
  }

  NodeKind kind() const noexcept { return ops->kind; }

  // Whether the loop still refers to this node.
  bool in_use() const noexcept { return attached || linked || active != kNowhere; }

  int fd() const noexcept { return timer_form != TimerForm::compact ? descriptor : -1; }
};

}  // namespace event_cpp::detail
