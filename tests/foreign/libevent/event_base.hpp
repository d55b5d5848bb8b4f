// What `struct event_base` of libevent is here: one of our bases, and what libevent has beside it.
#pragma once

#include <event2/event.h>
#include <event2/event_compat.h>
#include <event2/event_struct.h>
#include <sys/time.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "event/event.hpp"

// In the order in which they run. An event is in it as its ev_evcallback.
class CallbackQueue {
 public:
  CallbackQueue() = default;
  CallbackQueue(const CallbackQueue&) = delete;
  CallbackQueue& operator=(const CallbackQueue&) = delete;

  bool empty() const noexcept { return first_ == nullptr; }
  event_callback* first() const noexcept { return first_; }
  void push_back(event_callback& callback) noexcept;
  void remove(event_callback& callback) noexcept;

 private:
  static auto& link(event_callback& callback) noexcept { return callback.evcb_active_next; }

  event_callback* first_ = nullptr;
  event_callback** end_ = &first_;
};

// How long one turn of low priorities may take.
struct DispatchLimits {
  std::optional<event_cpp::Duration> time;
  int callbacks = 0x7fffffff;
  int from_priority = 0;

  bool any() const noexcept { return time.has_value() || callbacks != 0x7fffffff; }
};

struct event_base {
  event_base(const event_cpp::Options& options, const DispatchLimits& its_limits, bool locks,
             bool caches_time);
  ~event_base();

  // event_base_loop(). Requires: the lock is held.
  int loop(int flags);

  // Makes it run in this turn, or in the next one if the loop sleeps.
  void push(event_callback& callback);
  void remove(event_callback& callback) noexcept;

  // Calls what an event or a callback is for, without the lock. It may destroy it.
  void call(event_callback& callback);
  void call(event& ev, short res);

  // For event_base_get_num_events() and _max_events(): so many more or fewer in lists, or active.
  void count(int added, int active) noexcept;
  void add_virtual(int more) noexcept;

  // The time of the iteration, unless it was refreshed in it.
  event_cpp::TimePoint now() const noexcept {
    if (!caches_time) return std::chrono::steady_clock::now();
    return refreshed ? *refreshed : base.now();
  }
  event_cpp::Duration wall_offset();

  int priorities() const noexcept { return static_cast<int>(queues.size()); }
  // More than one priority, or limits: what is active is queued here, as in libevent. Else the loop
  // below calls it.
  bool queues_events() const noexcept { return queues.size() > 1 || limits.any(); }
  bool idle() const noexcept { return added == 0 && virtual_events == 0 && queued == 0; }
  void stop(bool& reason) noexcept {
    reason = true;
    base.stop_now();
  }

  void lock();
  void unlock();
  // From another thread: until the callback that runs now has ended, if it is this one.
  void wait_for_end_of(const event_callback& callback);

  event_cpp::Base base;
  DispatchLimits limits;
  const bool has_lock;
  const bool caches_time;
  std::deque<CallbackQueue> queues = std::deque<CallbackQueue>(1);
  event* first = nullptr;    // all that are added or active
  std::vector<void*> owned;  // of event_base_once()
  event_callback* current = nullptr;
  int current_priority = 0;

  std::atomic<bool> running{false};
  std::thread::id runner;
  bool exit_asked = false;
  bool break_asked = false;
  bool continue_asked = false;

  int queued = 0;
  int added = 0;
  int virtual_events = 0;
  int active = 0;
  int most_added = 0;
  int most_virtual = 0;
  int most_active = 0;

  std::optional<event_cpp::TimePoint> refreshed;
  std::vector<timeval> common_timeouts;

 private:
  int run_below(event_cpp::RunMode mode);
  int turn(int flags);
  int process_active();
  int process_queue(CallbackQueue& queue, int most, std::optional<event_cpp::TimePoint> until);
  void run_queued();
  void after_wait();

  std::mutex mutex_;
  std::condition_variable_any ended_;  // a callback
  std::atomic<int> visitors_{
      0};  // threads that wait for the lock, which the loop has while it sleeps
  int ran_ = 0;
  std::optional<event_cpp::TimePoint> offset_read_;
  event_cpp::Duration offset_{};
  event_cpp::Hook before_wait_{base, event_cpp::Hook::When::before_wait, [this] { run_queued(); }};
  event_cpp::Hook after_wait_{base, event_cpp::Hook::When::after_wait, [this] { after_wait(); }};
};

namespace event_cpp::libevent {

// The lock of a base, where threads are enabled. Nothing is locked without a base.
class Guard {
 public:
  explicit Guard(event_base* base) : base_(base) {
    if (base_ != nullptr) base_->lock();
  }
  ~Guard() {
    if (base_ != nullptr) base_->unlock();
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  event_base* base_;
};

// What follows requires that the lock is held.

inline bool is_event(const event_callback& callback) noexcept {
  return (callback.evcb_flags & EVLIST_INIT) != 0;
}
inline event& event_of(event_callback& callback) noexcept {
  return reinterpret_cast<event&>(callback);
}

int add(event& ev, const timeval* timeout);
enum class Block : bool { no, yes };  // until its callback has ended in the thread of the loop
int remove(event& ev, Block block);
void activate(event& ev, int res, short calls);
// From now on only its callback may be left to be called.
void forget(event& ev) noexcept;

bool activate(event_base& base, event_callback& callback);
void cancel(event_base& base, event_callback& callback) noexcept;

Duration duration_of(const timeval& time) noexcept;
timeval timeval_of(Duration duration) noexcept;

}  // namespace event_cpp::libevent
