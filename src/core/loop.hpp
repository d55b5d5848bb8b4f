// The loop: from the kernel's answer to the callback.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>

#include "backend/backend.hpp"
#include "backend/wakeup.hpp"
#include "core/active_queue.hpp"
#include "core/attention.hpp"
#include "core/fd_table.hpp"
#include "core/post_queue.hpp"
#include "core/timer_queue.hpp"
#include "event/detail/node.hpp"
#include "event/detail/task.hpp"
#include "event/options.hpp"

namespace event {
class Base;
}  // namespace event

namespace event::detail {

// What a base does. Its public face, Base and Event, says what each call promises.
//
// One iteration: look() asks the kernel and makes active what is ready, due or posted; no user code
// runs there, so nothing that is looked at can go away. Then run_level() runs the callbacks.
class Loop {
 public:
  Loop(Base& base, const Options& options);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // loop.cpp: running
  std::size_t run(event::Loop mode);
  bool running() const noexcept { return running_; }
  void stop(std::uint32_t how) noexcept;
  void post(Task&& task, Priority priority);

  // watch.cpp: what events ask for
  std::error_code attach(Node& node, Duration first, Duration timeout) noexcept;
  bool detach(Node& node) noexcept;
  std::error_code rearm(Node& node, Duration timeout) noexcept;
  std::error_code assign(Node& node, int fd, Events events) noexcept;
  void release(Node& node) noexcept;
  void activate(Node& node, Events fired) noexcept;
  void set_keeps_alive(Node& node, bool on) noexcept;
  void set_priority(Node& node, Priority priority) noexcept;
  std::optional<TimePoint> deadline(const Node& node) const noexcept;
  void reserve(std::size_t descriptors, std::size_t timers);

  Base& base() const noexcept { return base_; }
  TimePoint now() const noexcept;
  std::size_t size() const noexcept;
  Backend backend() const noexcept { return backend_->kind(); }

 private:
  static constexpr std::size_t kPriorities = 3;
  static const NodeOps kWakeupOps;

  // loop.cpp: steps of run()
  bool alive() const noexcept;
  bool anything_active() const noexcept;
  void look(bool block);
  void wait(bool block);
  void wait_on_source(TimePoint next, bool block);
  void wait_in_kernel(TimePoint deadline, bool block);
  void collect_ready();
  void collect_due();
  void collect_posted();
  void tick(Node& node, bool pending) noexcept;
  void run_levels(std::size_t levels);
  void run_level(std::size_t level, std::uint32_t slots);
  void run_posted(Priority priority);
  void fire(Node& node);
  void prepare(Node& node) noexcept;
  void look_above(std::size_t level);
  static void on_wakeup(Node& node, Events fired);

  // watch.cpp: steps of the calls above
  void forget_active(Node& node) noexcept;
  void count_attached(const Node& node, bool attached) noexcept;
  void end_watch(Node& node) noexcept;

  TimePoint real_time() const noexcept;
  TimePoint iteration_time() const noexcept;
  void assert_thread() const noexcept;

  static TimePoint later(TimePoint from, Duration by) noexcept {
    return by < TimePoint::max() - from ? from + by : TimePoint::max();
  }

  // Errors: throws std::bad_alloc, and nothing changes.
  void make_active(Node& node, Events fired) {
    if (node.active == Node::kNowhere) queue(node.priority).push(node);
    node.fired = static_cast<std::uint8_t>(static_cast<Events>(node.fired) | fired);
  }

  ActiveQueue& queue(Priority priority) noexcept {
    return active_[static_cast<std::size_t>(priority)];
  }

  Base& base_;
  const Options options_;
  const std::unique_ptr<BackendPort> backend_;
  Batch batch_;
  FdTable table_;
  TimerQueue timers_;
  std::array<ActiveQueue, kPriorities> active_{
      ActiveQueue(Priority::high), ActiveQueue(Priority::middle), ActiveQueue(Priority::low)};

  std::array<std::size_t, kPriorities> attached_{};  // events, by priority
  std::size_t keeping_alive_ = 0;                    // how many of them keep dispatch() running
  std::size_t ran_ = 0;                              // callbacks, in this run()
  std::size_t until_look_ = 0;  // callbacks below the highest priority before the next one
  bool running_ = false;
  mutable bool time_known_ = false;  // time_ is this iteration's
  mutable TimePoint time_{};
  std::thread::id thread_;  // that runs it

  // Shared with other threads and signal handlers.
  Attention attention_;
  std::atomic<std::uint32_t> stopping_{0};  // stop() calls that are under way
  Wakeup wakeup_;
  Node wakeup_node_;
  PostQueue posts_;  // its destructor waits for posters, which use what is above
};

}  // namespace event::detail
