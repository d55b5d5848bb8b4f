// What events wait for: file descriptors, times, signals and processes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>

#include "base/outcome.hpp"
#include "event/detail/node.hpp"
#include "event/options.hpp"
#include "event/stats.hpp"
#include "loop/active_by_priority.hpp"
#include "loop/alarm_queue.hpp"
#include "loop/clock.hpp"
#include "loop/fd_table.hpp"
#include "loop/kernel_side.hpp"
#include "loop/loop_thread.hpp"
#include "loop/priorities.hpp"
#include "loop/processes.hpp"
#include "loop/signals.hpp"
#include "loop/timer_queue.hpp"
#include "sys/fork_count.hpp"

namespace event_cpp::detail {

// The events of a base, from attach() to the active queues: what their owners ask for, and which of
// them become active after a wait. Runs no callback, so that an event cannot go away meanwhile.
//
// Functions that return an Outcome have changed nothing if it failed. Each first gives the child of
// a fork a kernel side of its own. See Event for what the calls promise.
class Watches {
 public:
  // `loop` is that of the nodes. Errors: throws std::system_error, std::bad_alloc.
  Watches(Loop* loop, const Options& options);
  Watches(const Watches&) = delete;
  Watches& operator=(const Watches&) = delete;

  // --- What the owner of an event asks for: watches.cpp ---

  Outcome attach(Node& node, Duration first, Duration timeout) noexcept;
  Outcome attach_to(Node& node, int fd, Events events, Duration timeout) noexcept;
  Outcome attach_at(Node& node, TimePoint deadline) noexcept;
  Outcome attach_ticker_at(Node& node, TimePoint first, Duration period) noexcept;
  Outcome attach_alarm(Node& node, WallTime when) noexcept;
  bool detach(Node& node) noexcept;  // requires: node.in_use(), and no alarm
  bool detach_alarm(Node& node) noexcept;
  Outcome rearm(Node& node, Duration timeout) noexcept;
  Outcome rearm_at(Node& node, TimePoint deadline) noexcept;
  Outcome assign(Node& node, int fd, Events events) noexcept;
  Outcome modify(Node& node, Events events) noexcept;
  void release(Node& node) noexcept;  // from now on nothing here refers to the node
  // The same, and the library closes its fd next: see FdTable::forget_before_close().
  void release_before_close(Node& node) noexcept;
  void activate(Node& node, Events fired) noexcept;
  void set_keeps_alive(Node& node, bool on) noexcept;
  void set_priority(Node& node, Priority priority) noexcept;
  std::optional<TimePoint> deadline(const Node& node) const noexcept;

  // --- What has become active: collect.cpp ---

  // All that is ready by the last wait, all that is due, and all whose signal has come. Errors:
  // throws std::bad_alloc, if an active queue cannot take anything.
  void collect();

  // If a single event is ready, takes it and says what fired, so that it need not queue; else
  // returns nullptr, and changes nothing.
  Node* take_only(Events& fired) noexcept {
    ReadyBatch& batch = kernel_.batch();
    if (batch.size() != 1 || batch.expired || alarms_ != nullptr) return nullptr;
    const ReadyEvent& ready = *batch.ready();
    Node* const node = table_.only_one_on(ready);
    if (node == nullptr) return nullptr;
    fired = ready.what(node->events) & node->events;
    if (!any(fired)) return nullptr;
    batch.take_all();
    return node;
  }

  ActiveByPriority& active() noexcept { return active_; }
  const ActiveByPriority& active() const noexcept { return active_; }

  // Before the callback of an event runs: its watch is ended, or its timeout starts anew. The
  // callback may then do anything to the event. take_fired() also returns what has fired.
  void prepare_to_fire(Node& node) noexcept {
    if (!any(node.events & Events::persist)) {
      if (node.attached) end_watch(node);
    } else if (node.timer_form != TimerForm::none) {
      restart_timeout(node);
    }
  }
  Events take_fired(Node& node) noexcept {
    prepare_to_fire(node);
    const auto fired = static_cast<Events>(node.fired);
    node.fired = 0;
    return fired;
  }

  // --- All of them ---

  std::size_t size() const noexcept { return attached_[0] + attached_[1] + attached_[2]; }
  bool any_keeps_alive() const noexcept { return keeping_alive_ > 0; }
  bool any_attached_above(std::size_t level) const noexcept;

  // When a wait is to end for a timer. A deadline that was moved later counts as it was, or
  // exactly, at O(log n) for each of those.
  TimePoint next_timer() const noexcept {
    return timers_.empty() ? TimePoint::max() : later(timers_.next(), slack_);
  }
  TimePoint next_timer_exactly() noexcept {
    static_cast<void>(timers_.due(TimePoint::max()));
    return next_timer();
  }

  LoopThread& thread() noexcept { return thread_; }
  LoopClock& clock() noexcept { return clock_; }
  KernelSide& kernel() noexcept { return kernel_; }
  const KernelSide& kernel() const noexcept { return kernel_; }
  const LoopClock& clock() const noexcept { return clock_; }
  const LoopThread& thread() const noexcept { return thread_; }
  FdTable& table() noexcept { return table_; }
  Alarms* alarms() const noexcept { return alarms_.get(); }  // null: there was none yet

  void reserve(std::size_t descriptors, std::size_t timers);
  // Gives back what a burst took, but so much of each table.
  void shrink(std::size_t bytes) noexcept;

  // Lets go of every event.
  void clear() noexcept;

  // Whether the kernel side is this process's own: not in the child of a fork, until take_over().
  bool is_ours() const noexcept { return !forked_since(forks_); }
  void take_over() noexcept { forks_ = fork_count(); }
  void disown() noexcept { forks_ = fork_count() - 1; }

  // In the child of a fork. After the first, nothing is taken back from the parent's kernel side.
  // The others register everything with a new one, the first before it is made; the second returns
  // 0 or an errno, and may then be called again.
  void detach_after_fork() noexcept;
  void forget_internals() noexcept;
  int watch_again() noexcept;

  Order* order() const noexcept { return order_; }  // of Options

  // What it knows of Stats.
  Stats stats() const noexcept;
  void dump(std::ostream& out);  // observe.cpp

 private:
  static const NodeOps kBlockedSignalsOps;
  static constexpr Events kOnFile = FdTable::kConditions;
  static constexpr Events kBesideTime = kOnFile | Events::signal;

  Outcome have_own_kernel(const Node& node) noexcept;
  Outcome attach_overdue(Node& node, Duration first, Duration timeout) noexcept;
  Outcome attach_timer(Node& node, TimePoint deadline, Duration timeout) noexcept;
  Outcome attach_watch(Node& node, bool timed, TimePoint deadline, Duration timeout) noexcept;
  Outcome set_deadline(Node& node, TimePoint deadline) noexcept;
  Errc check_watch(const Node& node) const noexcept;
  Outcome move_deadline(Node& node, TimePoint deadline, Duration timeout) noexcept;
  Outcome modify_attached(Node& node) noexcept;
  void assert_same_file(const Node& node) noexcept;
  void call_off(Node& node, Events reasons) noexcept;
  void deactivate(Node& node) noexcept;
  int add_signal(Node& node) noexcept;
  void remove_signal(Node& node) noexcept;
  int watch_blocked_signals() noexcept;
  bool detach_slowly(Node& node) noexcept;
  void restart_timeout(Node& node) noexcept;
  void restart_timeout_slowly(Node& node) noexcept;

  void collect_source(const ReadyEvent& report);
  void collect_due();
  void collect_alarms();
  void collect_signals();
  TimePoint due_until(TimerQueue& queue, TimePoint now) const noexcept;
  void count_late(TimePoint due, TimePoint now) noexcept;
  void tick(Node& node) noexcept;
  static void on_blocked_signals(Node& node, Events fired);

  void list_timed(const TimerQueue& queue, std::vector<const Node*>& nodes) const;
  std::string describe(const Node& node) const;

  static bool is_ticker(const Node& node) noexcept {
    return (node.events & (Events::persist | kBesideTime)) == Events::persist;
  }
  // What becomes of a persistent event's timeout once a deadline has come: a ticker has its period.
  static Duration period_of(const Node& node) noexcept {
    return is_ticker(node) ? node.timeout : Node::kAbsolute;
  }

  void count_attached(const Node& node, bool attached) noexcept {
    const std::size_t change = attached ? 1 : static_cast<std::size_t>(-1);
    attached_[static_cast<std::size_t>(node.priority)] += change;
    if (node.keeps_alive) keeping_alive_ += change;
  }
  void begin_watch(Node& node, Duration timeout) noexcept {
    node.attached = true;
    node.timeout = timeout;
    count_attached(node, true);
  }
  // Neither active nor attached from now on.
  void stop_watching(Node& node) noexcept;
  // Detached, as far as the timers and the counts go; the fd's registration is remembered.
  void end_watch(Node& node) noexcept {
    node.attached = false;
    count_attached(node, false);
    if (node.timer_form != TimerForm::none) timers_of(node).remove(node);
    if (any(node.events & Events::signal)) remove_signal(node);
    if (node.linked || node.stale) table_.fired(node);
  }

  TimerQueue& timers_of(const Node& node) noexcept {
    return node.kind() == NodeKind::alarm ? alarms_->queue : timers_;
  }

  LoopThread thread_;
  LoopClock clock_;
  KernelSide kernel_;
  const Duration slack_;
  Order* const order_;  // null: deadlines that have passed are taken all at once
  const Events supported_;
  std::uint32_t forks_;  // as counted when the kernel side was made
  FdTable table_;
  TimerQueue timers_;
  ActiveByPriority active_;
  std::array<std::size_t, kPriorities> attached_{};  // events, by priority
  std::size_t keeping_alive_ = 0;                    // how many of them keep dispatch() running
  std::size_t reserved_ = 0;                         // the most that reserve() was asked for
  std::unique_ptr<Alarms> alarms_;                   // once there was one
  Signals signals_;
  Node blocked_signals_;
  Processes processes_;
  Stats stats_;  // timers, lag and signals
};

}  // namespace event_cpp::detail
