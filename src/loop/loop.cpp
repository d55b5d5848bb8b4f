#include "loop/loop.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <new>

#include "event/error.hpp"

namespace event_cpp::detail {
namespace {

constexpr std::uint32_t kStops = Attention::kStops;
constexpr std::uint32_t kWants = kStops | Attention::kPosted | Attention::kSignalled;

Options checked(Options options) noexcept {
  if (options.slice == 0) options.slice = 1;
  if (options.slack < Duration::zero()) options.slack = Duration::zero();
  return options;
}

}  // namespace

Loop::Loop(Base& base, const Options& options)
    : base_(base),
      options_(checked(options)),
      clock_(options_),
      poller_(choose_poller(options.backend)),
      supported_(poller_->traits().supported),
      batch_(poller_->traits().kernel_entry),
      table_(*poller_),
      waker_(*poller_),
      wakeup_node_(&kWakeupOps, this, waker_.fd(),
                   Events::read | Events::persist | (supported_ & Events::edge), Priority::high),
      signals_(waker_, *poller_),
      blocked_signals_node_(&kBlockedSignalsOps, this, -1, Events::read | Events::persist,
                            Priority::high),
      processes_(*poller_),
      dispatcher_(*this, options_, waker_, clock_, posts_) {
  monotonic_ = clock_.is_monotonic();
  count_forks();
  forks_ = fork_count();
  if (const int error = register_internal(wakeup_node_, waker_.fd()); error != 0) {
    throw std::system_error(error, std::system_category(), "wake-up");
  }
  if (options_.timing) static_cast<void>(dispatcher_.time_callbacks());
  if (clock_.is_boottime()) {
    boottime_ = std::make_unique<ClockWatch>(kClockOps, *this);
    const int error = watch_clock(*boottime_, TimerFd::Of::boottime);
    if (error == ENOTSUP) throw std::system_error(Errc::unsupported, "Clock::boottime");
    if (error != 0) throw std::system_error(error, std::system_category(), "Clock::boottime");
  }
}

void Loop::close() noexcept {
  assert(!running_ && "a base must not be destroyed in a callback");
  if (!is_ours()) {
    detach_after_fork();
    forget_other_threads();
  }
  let_go_of_all();
  closing_ = running_ = true;
  thread_ = std::this_thread::get_id();
  forks_ =
      fork_count() - 1;  // whatever needs the kernel now asks restart_after_fork(), which refuses
}

void Loop::let_go_of_all() noexcept {
  const auto let_go = [this](Node& node) {
    if (node.timer_form != TimerForm::none) timers_of(node).remove(node);
    node.attached = false;
    node.fired = 0;
  };
  dispatcher_.clear(let_go);
  table_.clear(let_go);
  signals_.clear(let_go);
  processes_.clear(let_go);
  timers_.clear(let_go);
  if (alarms_ != nullptr) alarms_->queue.clear(let_go);
  attached_ = {};
  keeping_alive_ = 0;
}

bool Loop::drop() noexcept {
  const bool had_timer = dispatcher_.drop_timer();
  return posts_.drop_all() || had_timer;
}

const NodeOps Loop::kWakeupOps{&Loop::on_wakeup, nullptr, NodeKind::internal, nullptr};
const NodeOps Loop::kBlockedSignalsOps{&Loop::on_blocked_signals, nullptr, NodeKind::internal,
                                       nullptr};
const NodeOps Loop::kClockOps{&Loop::on_clock, nullptr, NodeKind::internal, nullptr};

// Having ended the wait, it has done its work. Where edges can be watched the descriptor is never
// read: that saves a system call each time.
void Loop::on_wakeup(Node& node, Events) {
  Loop& loop = *node.loop;
  loop.uncount_callback();
  ++loop.stats_.wakeups;
  if (!any(node.events & Events::edge)) loop.waker_.drain();
}

void Loop::on_blocked_signals(Node& node, Events) {
  node.loop->uncount_callback();
  node.loop->signals_.take_blocked();
}

// From entering run() to leaving it, by whatever way.
class Loop::Running {
 public:
  explicit Running(Loop& loop) noexcept : loop_(loop) {
    loop.running_ = true;
    loop.thread_ = std::this_thread::get_id();
    loop.clock_.begin_iteration();
    if (loop.embedded_) loop.attention().wake_up();
  }
  ~Running() {
    loop_.running_ = false;
    // A thread that was cancelled in its wait leaves the loop asleep.
    if (loop_.attention().is_asleep()) [[unlikely]]
      loop_.attention().wake_up();
    if (loop_.embedded_) loop_.arm_embedded();
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

 private:
  Loop& loop_;
};

std::size_t Loop::run(RunMode mode) {
  assert_thread();
  if (running_) throw std::system_error(Errc::reentered);
  const Running running(*this);
  const std::uint64_t before = dispatcher_.total();
  const bool keep_alive = any(mode & RunMode::keep_alive);
  const bool nonblock = any(mode & RunMode::nonblock);
  const bool once = any(mode & RunMode::once);

  // After a stop that came before this call, only what an earlier call left active is run.
  if (attention().test(kStops)) dispatcher_.run_active();
  const auto goes_on = [&] { return keep_alive || nonblock || alive(); };
  while (!attention().test(kStops) && goes_on()) {
    if (stats_.iterations % kGiveBackEvery == 0) [[unlikely]]
      give_back_memory();
    if (hooks_.empty()) {
      run_once(!nonblock);
    } else {
      hooks_.run(Hook::When::before_wait);
      if (!goes_on()) break;
      run_once_with_hooks(!nonblock);
    }
    if (!once && !nonblock) continue;
    const bool ran = dispatcher_.total() != before;
    if (once && ran) break;
    // A look that has only learned of signals that were blocked is not what the caller waits for.
    if (nonblock && (ran || !attention().test(Attention::kSignalled))) break;
  }
  if (attention().test(kStops)) attention().clear(kStops);
  if (mode == RunMode::forever) give_back_memory();
  return static_cast<std::size_t>(dispatcher_.total() - before);
}

bool Loop::alive() const noexcept {
  return keeping_alive_ > 0 || attention().test(Attention::kPosted) ||
         dispatcher_.anything_active() || hooks_.any(Hook::When::idle);
}

// While somebody else waits for fd(): whatever is wanted of the loop must show there.
void Loop::arm_embedded() noexcept {
  if (!is_ours()) return;
  table_.flush();
  if (alarms_ != nullptr) static_cast<void>(wake_for_alarm());
  if (boottime_ != nullptr) static_cast<void>(boottime_->wake_at(next_timer()));
  const bool hidden = poller_->refresh_fd() || table_.has_always_ready();
  const bool busy = dispatcher_.anything_active() || !batch_.taken() || hidden;
  if (busy || !attention().fall_asleep()) waker_.wake();
}

int Loop::fd() noexcept {
  assert_thread();
  if (!is_ours() && restart_after_fork()) return -1;
  const int fd = poller_->fd();
  if (fd >= 0 && !embedded_) {
    embedded_ = true;
    table_.disable_lazy_removal();
    if (!running_) arm_embedded();
  }
  return fd;
}

std::optional<Duration> Loop::next_timeout() noexcept {
  if (dispatcher_.anything_active() || !batch_.taken() || attention().test(kWants) ||
      hooks_.any(Hook::When::idle) || table_.has_always_ready()) {
    return Duration::zero();
  }
  Duration left = timers_.empty() ? Duration::max() : between(clock_.now(), next_timer_exactly());
  if (alarms_ != nullptr && !alarms_->queue.empty()) {
    left = std::min(left, until_alarm());
    if (!alarms_->node.linked || !alarms_->is_armed_for(alarms_->queue.next())) {
      left = std::min(left, kLookAtClock);
    }
  }
  return left != Duration::max() ? std::optional(left) : std::nullopt;
}

void Loop::give_back_memory() noexcept {
  posts_.shrink(kKeptBytes / sizeof(Task));
  dispatcher_.shrink(std::max(reserved_, kKeptBytes / sizeof(Node*)));
  table_.shrink(std::max(reserved_, kKeptBytes / sizeof(Node*)));
  timers_.shrink(std::max(reserved_, kKeptBytes / TimerQueue::kBytesPerTimer));
}

void Loop::run_once_with_hooks(bool block) {
  poll_and_collect(dispatcher_.rewind() && block && !hooks_.any(Hook::When::idle));
  hooks_.run(Hook::When::after_wait);
  if (dispatcher_.anything_active()) {
    dispatcher_.run_active();
  } else if (!attention().test(kStops)) {
    dispatcher_.count(Priority::low, hooks_.run(Hook::When::idle));
    // While there is such a hook poll_and_collect() did not wait.
    if (block && options_.time != nullptr && hooks_.any(Hook::When::idle) &&
        !dispatcher_.anything_active() && !attention().test(kWants)) {
      const TimePoint next = next_on_source(options_.time->now());
      if (next != TimePoint::max()) static_cast<void>(options_.time->skip_to(next));
    }
  }
}

// One iteration, without hooks.
inline void Loop::run_once(bool block) {
  const bool nothing_active = dispatcher_.rewind();
  poll(block && nothing_active);
  if (Node* const only = nothing_active ? take_only() : nullptr; only != nullptr) {
    dispatcher_.run_only(*only);
  } else {
    collect();
    dispatcher_.run_active();
  }
}

void Loop::poll_and_collect(bool block) {
  poll(block);
  collect();
}

// Updates what the kernel watches, and waits. Requires: nothing is active if it is to wait.
inline void Loop::poll(bool block) {
  if (!is_ours()) [[unlikely]] {
    if (const std::error_code error = restart_after_fork()) {
      throw std::system_error(error, "event::Base::after_fork");
    }
  }
  ++stats_.iterations;
  clock_.begin_iteration();
  if (const int error = table_.flush(); error != 0) [[unlikely]] {
    fail_to_flush(error);
  }
  // The last batch is left over if memory for an active queue ran out on the way.
  if (!batch_.taken()) return;
  if (monotonic_) [[likely]] {
    wait_in_kernel(next_timer(), block);
  } else {
    wait_otherwise(block);
  }
}

// The node that the poller reported, if it is a single one with nothing else pending: then it need
// not queue. A server that is not busy has one event in each batch, and its iteration is a third
// shorter so: row "ring A=1" of bench/costs.txt.
inline Node* Loop::take_only() noexcept {
  constexpr std::uint32_t kElse = Attention::kSignalled | Attention::kPosted | Attention::kStopNow;
  if (batch_.size() != 1 || batch_.expired || !monotonic_ || dispatcher_.times_callbacks() ||
      attention().test(kElse)) {
    return nullptr;
  }
  const ReadyEvent& ready = *batch_.ready();
  Node* const node = table_.only_one_on(ready);
  if (node == nullptr) return nullptr;
  const Events what = ready.what(node->events) & node->events;
  if (!any(what)) return nullptr;
  batch_.take_all();
  node->fired = static_cast<std::uint8_t>(what);
  return node;
}

// Makes active what is ready, due or posted.
void Loop::collect() {
  try {
    if (!batch_.taken()) collect_ready();
    if (batch_.expired && !timers_.empty()) collect_due();
    if (!monotonic_ && alarms_ != nullptr) collect_alarms();
    if (attention().test(Attention::kSignalled | Attention::kPosted)) collect_asked();
  } catch (const std::bad_alloc&) {
    // An active queue is full and cannot grow. What it holds runs now, and the rest is taken by the
    // next iteration: then nothing is lost, and there is nothing to report.
    if (!dispatcher_.anything_active()) throw;
  }
}

void Loop::wait_otherwise(bool block) {
  if (options_.time != nullptr) {
    wait_on_source(block);
  } else if (boottime_ != nullptr) {
    wait_on_boottime(block);
  } else {
    wait_in_kernel(std::min(next_timer(), wake_for_alarm()), block);
  }
}

TimePoint Loop::next_timer() const noexcept {
  return timers_.empty() ? TimePoint::max() : later(timers_.next(), options_.slack);
}

// The same, where a deadline that was moved later counts as it is now. Cost: O(log n) for each such
// deadline that the queue still had in its old place.
TimePoint Loop::next_timer_exactly() noexcept {
  static_cast<void>(timers_.due(TimePoint::max()));
  return next_timer();
}

// What a source of time is to be moved to, timers and alarms alike.
TimePoint Loop::next_on_source(TimePoint time) noexcept {
  const TimePoint next = next_timer_exactly();
  return alarms_ != nullptr ? std::min(next, later(time, until_alarm())) : next;
}

void Loop::fail_to_flush(int error) {
  if (error == EBADF) fail_to_wait(error);
  throw std::system_error(error, std::system_category(), "changing what the kernel watches");
}

void Loop::fail_to_wait(int error) {
  const char* const what =
      error == EMFILE  ? "waiting for events: RLIMIT_NOFILE is less than what is watched"
      : error == EBADF ? "waiting for events: a descriptor of the base's own was closed"
                       : "waiting for events";
  if (error == EBADF) {
    poller_->abandon_fds();
    waker_.give_up();
  }
  throw std::system_error(error, std::system_category(), what);
}

// The kernel's clock is not the base's: it is asked first, and then the source moves the time, or
// the wait is as long as is left by the source.
void Loop::wait_on_source(bool block) {
  const TimePoint time = options_.time->now();
  const TimePoint next = next_on_source(time);
  const bool deadline = next != TimePoint::max();
  wait_in_kernel(TimePoint::max(), block && !deadline);
  if (block && deadline && next > time && batch_.size() == 0 && !attention().test(kWants) &&
      !options_.time->skip_to(next)) {
    Duration left = options_.time->sleep_until(next);
    const bool passes = left != Duration::max();
    if (passes && alarms_ != nullptr) left = std::min(left, kLookAtClock);
    if (left > Duration::zero()) {
      wait_in_kernel(passes ? later(std::chrono::steady_clock::now(), left) : TimePoint::max(),
                     true);
    }
  }
  batch_.expired = true;
  // Callbacks may move a source: this is the iteration's time before they do, and after the wait.
  clock_.begin_iteration();
  static_cast<void>(clock_.iteration());
}

inline void Loop::collect_ready() {
  batch_.take([this](const ReadyEvent& ready) {
    if constexpr (kSourcesAreReported) {
      if (ready.is_of_source()) return collect_source(ready);
    }
    table_.report(ready, [this](Node& node, Events what) { dispatcher_.make_active(node, what); });
  });
}

// What the backend watches itself. Where it does not, descriptors have on_wakeup() and
// on_blocked_signals() called, and a Child is an event as any other.
void Loop::collect_source(const ReadyEvent& report) {
  switch (report.source()) {
    case Source::wakeup:
      ++stats_.wakeups;
      break;
    case Source::signal:
      signals_.take_pending();
      break;
    case Source::process:
      processes_.for_each_on(report.ident(),
                             [this](Node& node) { dispatcher_.make_active(node, Events::signal); });
      break;
  }
}

void Loop::collect_due() {
  const TimePoint now = clock_.iteration();
  const TimePoint until = due_until(timers_, now);
  while (Node* const node = timers_.due(until)) {
    dispatcher_.make_active(*node, Events::timeout);
    count_late(timers_.next(), now);
    if (!any(node->events & Events::persist)) {
      timers_.remove(*node);
    } else if (is_ticker(*node) && node->timeout > Duration::zero()) {
      tick(*node);
    } else {
      timers_.pop(*node);
    }
  }
}

void Loop::count_late(TimePoint due, TimePoint now) noexcept {
  ++stats_.timers;
  ++stats_.lag[Stats::lag_place(between(due, now))];
}

// Gives a ticker that is due its next deadline: on its schedule, and not in the past.
void Loop::tick(Node& node) noexcept {
  const TimePoint now = clock_.iteration();
  TimePoint next = later(timers_.next(), node.timeout);
  std::uint64_t skipped = 0;
  if (next <= now) {
    // Unsigned: a first deadline may be further back than a Duration reaches.
    const auto period = static_cast<std::uint64_t>(node.timeout.count());
    const auto behind = static_cast<std::uint64_t>(now.time_since_epoch().count()) -
                        static_cast<std::uint64_t>(next.time_since_epoch().count());
    skipped = behind / period + 1;
    next = later(now - Duration(behind % period), node.timeout);
  }
  timers_.move_first(node, next);
  if (node.ops->add_missed == nullptr) return;
  const auto fired = static_cast<Events>(node.fired);
  node.fired = static_cast<std::uint8_t>(fired | Node::kTicked);
  node.ops->add_missed(node, skipped, any(fired & Node::kTicked));
}

bool Loop::may_become_active_above(std::size_t level) const noexcept {
  std::size_t attached = 0;
  for (std::size_t i = 0; i < level; ++i) attached += attached_[i];
  const bool posted = attention().test(Attention::posted_above(level));
  return (attached > 0 || posted) && !attention().test(kStops);
}

void Loop::collect_asked() {
  if (attention().test(Attention::kSignalled)) collect_signals();
  if (attention().test(Attention::kPosted)) collect_posted();
}

void Loop::collect_signals() {
  signals_.collect([this](Node& node) {
    dispatcher_.make_active(node, Events::signal);
    ++stats_.signals;
  });
}

void Loop::collect_posted() {
  // Before the queue is taken: a post that comes in between asks again.
  attention().clear(Attention::kPosted);
  try {
    posts_.take([this](Priority p) { dispatcher_.make_room(p); },
                [this](Priority p, std::size_t count) {
                  dispatcher_.push_posted(p, count);
                  stats_.posts += count;
                });
  } catch (...) {
    attention().set(Attention::kPosted);
    throw;
  }
}

void Loop::post(Task&& task, Priority priority) {
  posts_.push(std::move(task), Node::valid(priority),
              [this](std::size_t level) { waker_.request(Attention::posted(level)); });
}

}  // namespace event_cpp::detail
