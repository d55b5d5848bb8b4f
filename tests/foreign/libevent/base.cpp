// The loop: one of ours, with libevent's queues and limits on top where a base has them.
#include <algorithm>
#include <cerrno>
#include <system_error>

#include "event_base.hpp"
#include "internals.hpp"

using namespace event_cpp;

void CallbackQueue::push_back(event_callback& callback) noexcept {
  link(callback).tqe_next = nullptr;
  link(callback).tqe_prev = end_;
  *end_ = &callback;
  end_ = &link(callback).tqe_next;
}

void CallbackQueue::remove(event_callback& callback) noexcept {
  event_callback* const next = link(callback).tqe_next;
  if (next != nullptr) {
    link(*next).tqe_prev = link(callback).tqe_prev;
  } else {
    end_ = link(callback).tqe_prev;
  }
  *link(callback).tqe_prev = next;
}

event_base::event_base(const Options& options, const DispatchLimits& its_limits, bool locks,
                       bool caches)
    : base(options), limits(its_limits), has_lock(locks), caches_time(caches) {}

event_base::~event_base() {
  while (first != nullptr) libevent::remove(*first, libevent::Block::no);
  for (void* const memory : owned) event_mm_free_(memory);
}

// The loop has the lock while it sleeps. Who comes from another thread wakes it, and it lets them
// in before it goes on.
void event_base::lock() {
  if (!has_lock) return;
  if (!running || std::this_thread::get_id() == runner) return mutex_.lock();
  ++visitors_;
  base.post([] {});
  mutex_.lock();
  --visitors_;
}

void event_base::unlock() {
  if (has_lock) mutex_.unlock();
}

void event_base::wait_for_end_of(const event_callback& callback) {
  if (!has_lock || !running || std::this_thread::get_id() == runner) return;
  ++visitors_;  // the loop does not begin the callback again before this thread has been told
  ended_.wait(mutex_, [&] { return current != &callback; });
  --visitors_;
}

void event_base::after_wait() {
  refreshed.reset();
  while (visitors_ > 0) {
    unlock();
    std::this_thread::yield();
    lock();
  }
}

int event_base::loop(int flags) {
  if (running) {
    event_warnx("event_base_loop: reentrant invocation");
    return -1;
  }
  running = true;
  runner = std::this_thread::get_id();
  exit_asked = break_asked = false;
  int result = 0;
  for (bool done = false; !done && !exit_asked && !break_asked;) {
    continue_asked = false;
    if ((flags & EVLOOP_NO_EXIT_ON_EMPTY) == 0 && idle()) {
      result = 1;
      break;
    }
    ran_ = 0;
    if (turn(flags) < 0) {
      result = -1;
      break;
    }
    done = ran_ > 0 ? (flags & EVLOOP_ONCE) != 0 && queued == 0 : (flags & EVLOOP_NONBLOCK) != 0;
  }
  running = false;
  refreshed.reset();
  return result;
}

// Iterations: one, or as many as nobody has to look at between them.
int event_base::turn(int flags) {
  RunMode mode = RunMode::forever;
  if ((flags & EVLOOP_NONBLOCK) != 0 || queued > 0) {
    mode = RunMode::nonblock;
  } else if ((flags & EVLOOP_ONCE) != 0 || queues_events()) {
    mode = RunMode::once;
  }
  if ((flags & EVLOOP_NO_EXIT_ON_EMPTY) != 0 || virtual_events > 0)
    mode = mode | RunMode::keep_alive;
  const int result = run_below(mode);
  return result == 0 && queues_events() && !break_asked ? process_active() : result;
}

int event_base::run_below(RunMode mode) {
  try {
    base.loop(mode);
    return 0;
  } catch (const std::system_error& error) {
    errno = error.code().value();
    return -1;
  }
}

// The highest priority of which something is active, and no more: others may have become ready.
int event_base::process_active() {
  for (current_priority = 0; current_priority < priorities(); ++current_priority) {
    CallbackQueue& queue = queues[static_cast<std::size_t>(current_priority)];
    if (queue.empty()) continue;
    int count = 0;
    if (current_priority < limits.from_priority) {
      count = process_queue(queue, 0x7fffffff, std::nullopt);
    } else {
      std::optional<TimePoint> until;
      if (limits.time) until = std::chrono::steady_clock::now() + *limits.time;
      count = process_queue(queue, limits.callbacks, until);
    }
    if (count != 0) break;  // what was internal alone does not count
  }
  current_priority = 0;
  return 0;
}

// Returns how many ran, or -1 if the loop is to end or to begin anew.
int event_base::process_queue(CallbackQueue& queue, int most, std::optional<TimePoint> until) {
  int count = 0;
  while (!queue.empty()) {
    event_callback& callback = *queue.first();
    if ((callback.evcb_flags & EVLIST_INTERNAL) == 0) ++count;
    remove(callback);
    call(callback);
    if (break_asked || continue_asked) return -1;
    if (count >= most || (until && std::chrono::steady_clock::now() >= *until)) break;
  }
  return count;
}

// What the loop below does not know of, callbacks without an event: in the turn in which they were
// deferred.
void event_base::run_queued() {
  constexpr int kMost = 32;  // then others have their turn
  if (queues_events()) return;
  for (int count = 0; queued > 0 && !break_asked && !continue_asked; ++count) {
    if (count == kMost) return base.stop();  // and turn() comes back without a wait
    event_callback& callback = *queues[0].first();
    remove(callback);
    call(callback);
  }
}

void event_base::push(event_callback& callback) {
  callback.evcb_flags |= EVLIST_ACTIVE;
  queues[callback.evcb_pri].push_back(callback);
  ++queued;
  count(1, 1);
  if (running && callback.evcb_pri < current_priority) continue_asked = true;
}

void event_base::remove(event_callback& callback) noexcept {
  callback.evcb_flags &= ~EVLIST_ACTIVE;
  queues[callback.evcb_pri].remove(callback);
  --queued;
  count(-1, -1);
}

void event_base::call(event_callback& callback) {
  if (libevent::is_event(callback)) {
    event& ev = libevent::event_of(callback);
    if ((callback.evcb_flags & EVLIST_FINALIZING) == 0) return call(ev, ev.ev_res);
  }
  ++ran_;
  current = callback.evcb_closure == kCallItself ? &callback : nullptr;
  const auto closure = callback.evcb_closure;
  const auto function = callback.evcb_cb_union;
  void* const argument = callback.evcb_arg;
  unlock();
  switch (closure) {
    case kCallItself:
      function.evcb_selfcb(&callback, argument);
      break;
    case kFinalizeCallback:
      function.evcb_cbfinalize(&callback, argument);
      break;
    default:
      function.evcb_evfinalize(&libevent::event_of(callback), argument);
      if (closure == kFinalizeAndFreeEvent) event_mm_free_(&callback);
  }
  lock();
  current = nullptr;
  ended_.notify_all();
}

void event_base::call(event& ev, short res) {
  ++ran_;
  current = &ev.ev_evcallback;
  const auto function = ev.ev_evcallback.evcb_cb_union.evcb_callback;
  void* const argument = ev.ev_evcallback.evcb_arg;
  const int fd = ev.ev_fd;
  // A signal that was activated several times is called as often, until it is removed.
  short left = libevent::begin_calls(ev);
  if ((ev.ev_events & EV_PERSIST) == 0) libevent::forget(ev);
  do {
    if (left > 1) libevent::counted_by(ev, &left);
    --left;
    if (left == 0) libevent::counted_by(ev, nullptr);
    unlock();
    function(fd, res, argument);
    lock();
  } while (left > 0 && !break_asked);
  if (left > 0) libevent::counted_by(ev, nullptr);
  current = nullptr;
  ended_.notify_all();
}

void event_base::count(int more_added, int more_active) noexcept {
  added += more_added;
  active += more_active;
  most_added = std::max(most_added, added);
  most_active = std::max(most_active, active);
}

void event_base::add_virtual(int more) noexcept {
  virtual_events += more;
  most_virtual = std::max(most_virtual, virtual_events);
  if (virtual_events == 0 && running) base.stop();  // whether there is something left is looked at
}

Duration event_base::wall_offset() {
  if (!offset_read_ || now() - *offset_read_ > std::chrono::seconds(5)) {
    offset_read_ = now();
    offset_ = std::chrono::system_clock::now().time_since_epoch() -
              std::chrono::steady_clock::now().time_since_epoch();
  }
  return offset_;
}
