// The loop: from the kernel's answer to the callback.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "base/outcome.hpp"
#include "event/detail/callable.hpp"
#include "event/detail/node.hpp"
#include "event/error.hpp"
#include "event/options.hpp"
#include "event/stats.hpp"
#include "loop/alarm_queue.hpp"
#include "loop/attention.hpp"
#include "loop/clock.hpp"
#include "loop/dispatcher.hpp"
#include "loop/fd_table.hpp"
#include "loop/hook_lists.hpp"
#include "loop/post_queue.hpp"
#include "loop/processes.hpp"
#include "loop/signals.hpp"
#include "loop/timer_queue.hpp"
#include "loop/waker.hpp"
#include "poller/poller.hpp"
#include "sys/fork_count.hpp"

namespace event_cpp {
class Base;
}  // namespace event_cpp

namespace event_cpp::detail {

// What a base does. Its public face, Base and Event, says what each call promises.
//
// One iteration, run_once(): poll() updates what the kernel watches and waits; collect() makes
// active what is ready, due or posted. No user code runs there, so that no event can go away. Then
// the dispatcher runs the callbacks. A single ready event, with nothing else pending, runs without
// queueing.
class Loop {
 public:
  Loop(Base& base, const Options& options);
  ~Loop() = default;  // requires: close()
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // loop.cpp: running
  std::size_t run(RunMode mode);
  bool running() const noexcept { return running_; }
  bool alive() const noexcept;
  Order* order() const noexcept { return options_.order; }
  void stop(std::uint32_t how) noexcept { waker_.stop(how); }
  void post(Task&& task, Priority priority);

  // Before the destructor: lets go of every event, and from then on nothing can be attached,
  // activated or run. Posting still works, for drop(): destroys what users gave, and returns
  // whether there was anything. Their destructors may call whatever the base has.
  void close() noexcept;
  bool drop() noexcept;
  bool closing() const noexcept { return closing_; }

  // For running inside another loop.
  int fd() noexcept;
  std::optional<Duration> next_timeout() noexcept;

  // fork.cpp
  std::error_code after_fork() noexcept;

  // observe.cpp: what can be seen of it
  Stats stats() const noexcept;
  std::error_code on_slow(Duration budget, std::shared_ptr<SlowReport> report);
  void dump(std::ostream& out);

  // watch.cpp: what events ask for
  Outcome attach(Node& node, Duration first, Duration timeout) noexcept;
  Outcome attach_to(Node& node, int fd, Events events, Duration timeout) noexcept;
  Outcome attach_at(Node& node, TimePoint deadline) noexcept;
  Outcome attach_ticker_at(Node& node, TimePoint first, Duration period) noexcept;
  bool detach(Node& node) noexcept;  // requires: node.in_use(), and no alarm
  Outcome rearm(Node& node, Duration timeout) noexcept;
  Outcome rearm_at(Node& node, TimePoint deadline) noexcept;
  Outcome assign(Node& node, int fd, Events events) noexcept;
  Outcome modify(Node& node, Events events) noexcept;
  void release(Node& node) noexcept;
  void activate(Node& node, Events fired) noexcept;
  void set_keeps_alive(Node& node, bool on) noexcept;
  void set_priority(Node& node, Priority priority) noexcept;
  std::optional<TimePoint> deadline(const Node& node) const noexcept;
  void reserve(std::size_t descriptors, std::size_t timers);

  // What the dispatcher asks for. Before a callback of an event runs: its watch is ended, or its
  // timeout starts anew.
  void prepare_to_fire(Node& node) noexcept {
    if (!any(node.events & Events::persist)) {
      if (node.attached) end_watch(node);
    } else if (node.timer_form != TimerForm::none) {
      restart_timeout(node);
    }
  }
  bool may_become_active_above(std::size_t level) const noexcept;
  void poll_between_slices() { poll_and_collect(false); }

  // alarm_queue.cpp
  Outcome attach_alarm(Node& node, WallTime when) noexcept;
  bool detach_alarm(Node& node) noexcept {
    assert_thread();
    return detach_slowly(node);
  }

  Hooks& hooks() noexcept {
    assert_thread();
    return hooks_;
  }
  Base& base() const noexcept { return base_; }

  // For the callback that is running, of an event of this priority: nothing of a user's ran.
  void uncount_callback(Priority priority = Priority::high) noexcept {
    dispatcher_.uncount(priority);
  }
  TimePoint now() const noexcept { return running_ ? clock_.iteration() : clock_.now(); }
  std::size_t size() const noexcept;
  Backend backend() const noexcept { return poller_->traits().kind; }

 private:
  static constexpr std::size_t kPriorities = Dispatcher::kPriorities;

  // Memory that a burst took is given back every so many iterations, and when dispatch() returns:
  // rarely enough that a load which needs it all the time does not notice. So much is kept in any
  // case, of each table.
  static constexpr std::uint64_t kGiveBackEvery = 1024;
  static constexpr std::size_t kKeptBytes = std::size_t{256} * 1024;

  // How often a clock is looked at while it is waited for, if nothing tells of its changes.
  static constexpr Duration kLookAtClock = std::chrono::seconds(1);

  static const NodeOps kWakeupOps;
  static const NodeOps kBlockedSignalsOps;
  static const NodeOps kClockOps;

  // loop.cpp: steps of run()
  class Running;
  void arm_embedded() noexcept;
  void run_once(bool block);
  void run_once_with_hooks(bool block);
  [[gnu::cold, gnu::noinline]] void give_back_memory() noexcept;
  void poll_and_collect(bool block);
  void poll(bool block);
  Node* take_only() noexcept;
  void collect();
  void wait_otherwise(bool block);
  TimePoint next_timer() const noexcept;
  TimePoint next_timer_exactly() noexcept;
  TimePoint next_on_source(TimePoint time) noexcept;
  void wait_on_source(bool block);
  [[noreturn, gnu::cold, gnu::noinline]] void fail_to_wait(int error);
  [[noreturn, gnu::cold, gnu::noinline]] void fail_to_flush(int error);
  void collect_ready();
  void collect_source(const ReadyEvent& report);
  void collect_due();
  void collect_asked();
  void collect_signals();
  void collect_posted();
  // With a source of order an iteration takes the deadlines of one time: these are picked among.
  TimePoint due_until(TimerQueue& queue, TimePoint now) const noexcept {
    if (options_.order == nullptr || queue.due(now) == nullptr) [[likely]]
      return now;
    return queue.next();
  }
  void count_late(TimePoint due, TimePoint now) noexcept;
  void tick(Node& node) noexcept;

  // What the loop's own events do.
  static void on_wakeup(Node& node, Events fired);
  static void on_blocked_signals(Node& node, Events fired);
  static void on_clock(Node& node, Events fired);

  // alarms.cpp: steps of look()
  int watch_clock(ClockWatch& watch, TimerFd::Of clock) noexcept;
  int watch_wall(Alarms& alarms) noexcept;
  Duration until_alarm() const noexcept;
  TimePoint wake_for_alarm() noexcept;
  void wait_on_boottime(bool block);
  void collect_alarms();

  // loop.cpp: a step of close()
  void let_go_of_all() noexcept;

  // fork.cpp
  bool is_ours() const noexcept { return !forked_since(forks_); }
  Outcome have_own_kernel() noexcept {
    if (is_ours()) [[likely]]
      return {};
    return Outcome::of_errno(restart_after_fork().value());
  }
  int register_internal(Node& node, int fd) noexcept;
  int reopen_internals() noexcept;
  void detach_after_fork() noexcept;
  void forget_other_threads() noexcept;
  std::error_code restart_after_fork() noexcept;

  // observe.cpp: steps of dump()
  std::string describe(const Node& node) const;
  void list_timed(const TimerQueue& queue, std::vector<const Node*>& nodes) const;

  // watch.cpp: steps of the calls above
  void restart_timeout(Node& node) noexcept;
  void restart_timeout_slowly(Node& node) noexcept;
  Outcome attach_timer(Node& node, TimePoint deadline, Duration timeout) noexcept;
  Outcome attach_overdue(Node& node, Duration first, Duration timeout) noexcept;
  Outcome attach_at_slowly(Node& node, TimePoint deadline, Duration timeout) noexcept;
  static Duration timeout_after_deadline(const Node& node) noexcept;
  Outcome attach_watch(Node& node, bool timed, TimePoint deadline, Duration timeout) noexcept;
  Errc check_watch(const Node& node) const noexcept;
  void begin_watch(Node& node, Duration timeout) noexcept;
  Outcome move_deadline(Node& node, TimePoint deadline, Duration timeout) noexcept;
  Outcome modify_attached(Node& node) noexcept;
  void assert_same_file(const Node& node) noexcept;
  void call_off_timeout(Node& node) noexcept;
  int add_signal(Node& node) noexcept;
  void remove_signal(Node& node) noexcept;
  int watch_blocked_signals() noexcept;
  bool detach_slowly(Node& node) noexcept;

  Attention& attention() noexcept { return waker_.attention(); }
  const Attention& attention() const noexcept { return waker_.attention(); }

  // False with Backend::none: no descriptor, no signal and no process can be watched.
  bool has_kernel_side() const noexcept { return any(supported_); }

  void assert_thread() const noexcept {
    assert((!running_ || thread_ == std::this_thread::get_id()) &&
           "a base and its events belong to the thread that runs it");
  }

  // Errors: throws std::system_error.
  void wait_in_kernel(TimePoint deadline, bool block) {
    ++stats_.waits;
    block = block && attention().fall_asleep();
    const int error = table_.wait(deadline, block, batch_);
    if (block) attention().wake_up();
    if (error != 0) [[unlikely]]
      fail_to_wait(error);
  }

  void count_attached(const Node& node, bool attached) noexcept {
    const std::size_t change = attached ? 1 : static_cast<std::size_t>(-1);
    attached_[static_cast<std::size_t>(node.priority)] += change;
    if (node.keeps_alive) keeping_alive_ += change;
  }

  // Of an event that has more than a time.
  static constexpr Events kBesideTime = FdTable::kConditions | Events::signal;

  // Detached, as far as the timers and the counts go; the descriptor's registration is remembered.
  void end_watch(Node& node) noexcept {
    node.attached = false;
    count_attached(node, false);
    if (node.timer_form != TimerForm::none) timers_of(node).remove(node);
    if (any(node.events & Events::signal)) remove_signal(node);
    if (node.linked || node.stale) table_.fired(node);
  }
  // The same, shorter, where it has nothing of that.
  void end_timer(Node& node) noexcept {
    count_attached(node, false);
    node.attached = false;
    timers_.remove(node);
  }

  static bool is_ticker(const Node& node) noexcept {
    return any(node.events & Events::persist) &&
           !any(node.events & (FdTable::kConditions | Events::signal));
  }

  TimerQueue& timers_of(const Node& node) noexcept {
    return node.kind() == NodeKind::alarm ? alarms_->queue : timers_;
  }
  const TimerQueue& timers_of(const Node& node) const noexcept {
    return node.kind() == NodeKind::alarm ? alarms_->queue : timers_;
  }

  Base& base_;
  const Options options_;
  LoopClock clock_;
  const std::unique_ptr<Poller> poller_;
  const Events supported_;
  ReadyBatch batch_;
  FdTable table_;
  TimerQueue timers_;

  std::array<std::size_t, kPriorities> attached_{};  // events, by priority
  std::size_t keeping_alive_ = 0;                    // how many of them keep dispatch() running
  std::size_t reserved_ = 0;                         // the most that reserve() was asked for
  bool running_ = false;
  bool closing_ = false;    // and then running_ too, so that nobody can run it
  bool embedded_ = false;   // somebody waits for fd() while nobody runs this
  bool monotonic_;          // no other clock is waited for than the kernel's monotonic one
  std::thread::id thread_;  // that runs it
  std::uint32_t forks_;     // as counted when the kernel side was made

  // Counted as they come: the rest of Stats is put together when it is asked for.
  Stats stats_;

  Hooks hooks_;
  std::unique_ptr<Alarms> alarms_;        // once there was one
  std::unique_ptr<ClockWatch> boottime_;  // none: timeouts count by another clock

  // Shared with other threads and signal handlers.
  Waker waker_;
  Node wakeup_node_;
  Signals signals_;
  Node blocked_signals_node_;
  Processes processes_;
  PostQueue posts_;  // its destructor waits for posters, which use what is above
  Dispatcher dispatcher_;
};

}  // namespace event_cpp::detail
