// The part of an event that the loop works on. Users hold an Event, which is one of these.
#pragma once

#include <cstdint>

#include "event/detail/callable.hpp"
#include "event/event_mask.hpp"
#include "event/time.hpp"

namespace event_cpp::detail {

class Loop;
struct Node;

// What a node is to the loop.
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
  // Of a ticker: periods were skipped before the fire that is due now. `pending`: the one before
  // it has not run yet and becomes one with it. Null: not a ticker.
  void (*add_missed)(Node& node, std::uint64_t skipped, bool pending) noexcept;
};

// Where the timer queue keeps what it knows of a node.
enum class TimerForm : std::uint8_t {
  none,      // not in the timer queue, and nothing kept for it
  extended,  // its heap entry has an extension
  compact,   // it has none: `sequence` stands in the place of the descriptor
};

// Sizes matter here: the plain event, with its descriptor's table entry, and the timer, with its
// heap node, are to be smaller than any other library's. Only what every event needs is inside;
// what timed or active ones need beyond that is kept by the timer queue and the active queues.
struct Node {
  static constexpr std::uint32_t kNowhere = 0xffffffff;

  // All bits that mean something. Others are dropped from what a user gives.
  static constexpr Events kSettable =
      Events::read | Events::write | Events::timeout | Events::persist | Events::signal |
      Events::closed | Events::urgent | Events::error | Events::edge | Events::exclusive;

  // `timeout` of a node that was given a deadline of its own: it has no timeout to start anew.
  static constexpr Duration kAbsolute{-1};

  // Beside the conditions and options in `events`: the node is on the process whose number is given
  // for a descriptor, and has Events::signal besides, being no descriptor. Not to be set by users.
  static constexpr Events kOnProcess{0x0800};

  // Beside the conditions in `fired`: a ticker fires because a period has ended.
  static constexpr Events kTicked = Events::persist;

  // In the order of who looks at it: what is timed, what is looked at in each call, and what fires;
  // so that none of these touches all of it, which is two cache lines as often as one.
  Duration timeout{};  // as given to attach() or rearm(), never negative; or kAbsolute
  Loop* loop = nullptr;
  union {
    int descriptor;          // unless timer_form is compact
    std::uint32_t sequence;  // then: the descriptor is -1
  };
  std::uint32_t timer = kNowhere;   // place in the heap of the timer queue
  std::uint32_t active = kNowhere;  // place in an active queue: index and queue, see ActiveQueue
  Events events = Events::none;
  std::uint8_t fired = 0;  // conditions that came true since the event was queued
  Priority priority : 2 = Priority::middle;
  TimerForm timer_form : 2 = TimerForm::none;
  bool attached : 1 = false;
  bool keeps_alive : 1 = true;
  bool linked : 1 = false;  // in the fd table: attached, or detached and remembered
  bool stale : 1 = false;   // its file was closed while it was attached: only a timeout fires it
  const NodeOps* ops = nullptr;
  Storage callable;

  Node(const NodeOps* node_ops, Loop* owner, int fd, Events mask, Priority level) noexcept
      : loop(owner),
        descriptor(fd),
        events(mask & kSettable),
        priority(valid(level)),
        ops(node_ops) {}

  // Queues are indexed with it.
  static constexpr Priority valid(Priority level) noexcept {
    return level < Priority::low ? level : Priority::low;
  }

  NodeKind kind() const noexcept { return ops->kind; }

  // Something of the loop's still refers to this node.
  bool in_use() const noexcept { return attached || linked || active != kNowhere; }

  int fd() const noexcept { return timer_form != TimerForm::compact ? descriptor : -1; }
};

}  // namespace event_cpp::detail
