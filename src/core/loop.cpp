#include "core/loop.hpp"

#include <cassert>
#include <new>

#include "event/error.hpp"

namespace event::detail {
namespace {

constexpr std::uint32_t kStops = Attention::kStop | Attention::kStopNow;

class Flag {
 public:
  explicit Flag(bool& flag) noexcept : flag_(flag) { flag_ = true; }
  ~Flag() { flag_ = false; }
  Flag(const Flag&) = delete;
  Flag& operator=(const Flag&) = delete;

 private:
  bool& flag_;
};

constexpr bool is_ticker(const Node& node) noexcept {
  return any(node.events & Events::persist) && !any(node.events & FdTable::kConditions);
}

Options checked(Options options) noexcept {
  if (options.slice == 0) options.slice = 1;
  if (options.slack < Duration::zero()) options.slack = Duration::zero();
  return options;
}

}  // namespace

Loop::Loop(Base& base, const Options& options)
    : base_(base),
      options_(checked(options)),
      backend_(choose_backend(options.backend)),
      batch_(backend_->kernel_entry()),
      table_(*backend_),
      wakeup_node_(
          &kWakeupOps, this, wakeup_.fd(),
          Events::read | Events::persist | (backend_->has_edge() ? Events::edge : Events::none),
          Priority::high) {
  if (const int error = table_.add(wakeup_node_); error != 0) {
    throw std::system_error(error, std::system_category(), "wake-up");
  }
  wakeup_node_.attached = true;
}

Loop::~Loop() {
  assert(!running_ && "a base must not be destroyed in a callback");
  const auto let_go = [this](Node& node) {
    if (node.timer_form != TimerForm::none) timers_.remove(node);
    node.attached = false;
    node.fired = 0;
  };
  for (ActiveQueue& queue : active_) queue.clear(let_go);
  table_.clear(let_go);
  timers_.clear(let_go);
  // A stop() that ended the last dispatch() may still be on its way out in another thread.
  while (stopping_.load(std::memory_order_acquire) != 0) std::this_thread::yield();
}

const NodeOps Loop::kWakeupOps{&Loop::on_wakeup, nullptr, nullptr};

// Having ended the wait, it has done its work. Where edges can be watched the descriptor is never
// read: that saves a system call each time.
void Loop::on_wakeup(Node& node, Events) {
  Loop& loop = *node.loop;
  --loop.ran_;  // nothing of a user's ran
  if (!loop.backend_->has_edge()) loop.wakeup_.drain();
}

std::size_t Loop::run(event::Loop mode) {
  assert_thread();
  if (running_) throw std::system_error(Errc::reentered);
  const Flag running(running_);
  thread_ = std::this_thread::get_id();
  ran_ = 0;
  time_known_ = false;
  const bool keep_alive = any(mode & event::Loop::keep_alive);
  const bool nonblock = any(mode & event::Loop::nonblock);
  const bool once = any(mode & event::Loop::once);

  // After a stop that came before this call, only what an earlier call left active is run.
  if (attention_.asked(kStops)) run_levels(kPriorities);
  while (!attention_.asked(kStops) && (keep_alive || alive())) {
    look(!nonblock);
    run_levels(kPriorities);
    if (nonblock || (once && ran_ > 0)) break;
  }
  if (attention_.asked(kStops)) attention_.answer(kStops);
  return ran_;
}

bool Loop::alive() const noexcept {
  return keeping_alive_ > 0 || attention_.asked(Attention::kPosted) || anything_active();
}

bool Loop::anything_active() const noexcept {
  return !active_[0].empty() || !active_[1].empty() || !active_[2].empty();
}

// Asks the kernel and makes active what is ready, due or posted. Waits only if nothing is active.
void Loop::look(bool block) {
  block = block && !anything_active();
  for (ActiveQueue& queue : active_) queue.rewind();
  time_known_ = false;
  table_.flush();
  if (const int error = table_.take_error(); error != 0) {
    throw std::system_error(error, std::system_category(), "rebuilding the kernel's set");
  }
  // The last batch is left over if memory for an active queue ran out on the way.
  if (batch_.taken()) wait(block);
  try {
    collect_ready();
    if (batch_.expired && !timers_.empty()) collect_due();
    if (attention_.asked(Attention::kPosted)) collect_posted();
  } catch (const std::bad_alloc&) {
    // An active queue is full and cannot grow. What it holds runs now, and the rest is taken by the
    // next iteration: then nothing is lost, and there is nothing to report.
    if (!anything_active()) throw;
  }
}

void Loop::wait(bool block) {
  const TimePoint next = timers_.empty() ? TimePoint::max() : later(timers_.next(), options_.slack);
  if (options_.time != nullptr) {
    wait_on_source(next, block);
  } else {
    wait_in_kernel(next, block);
  }
}

void Loop::wait_in_kernel(TimePoint deadline, bool block) {
  block = block && attention_.fall_asleep();
  const int error = backend_->wait(deadline, block, batch_);
  if (block) attention_.wake_up();
  if (error != 0) throw std::system_error(error, std::system_category(), "waiting for events");
}

// The kernel's clock is not the base's: it is asked first, and then the source moves the time, or
// the wait is as long as is left by the source.
void Loop::wait_on_source(TimePoint next, bool block) {
  const TimePoint time = options_.time->now();
  const bool deadline = next != TimePoint::max();
  wait_in_kernel(TimePoint::max(), block && !deadline);
  if (block && deadline && next > time && batch_.size() == 0 && !attention_.asked(~0U) &&
      !options_.time->skip_to(next)) {
    wait_in_kernel(later(std::chrono::steady_clock::now(), next - time), true);
  }
  batch_.expired = true;
  // Callbacks may move a source: this is the iteration's time before they do.
  time_ = options_.time->now();
  time_known_ = true;
}

void Loop::collect_ready() {
  batch_.take([this](const Ready& ready) {
    table_.report(ready, [this](Node& node, Events what) { make_active(node, what); });
  });
}

void Loop::collect_due() {
  const TimePoint now = iteration_time();
  while (Node* const node = timers_.due(now)) {
    const bool pending =
        node->active != Node::kNowhere && any(static_cast<Events>(node->fired) & Events::timeout);
    make_active(*node, Events::timeout);
    if (is_ticker(*node) && node->timeout > Duration::zero()) {
      tick(*node, pending);
    } else {
      timers_.pop(*node);
    }
  }
}

// Gives a ticker that is due its next deadline: on its schedule, and not in the past.
void Loop::tick(Node& node, bool pending) noexcept {
  TimePoint next = later(timers_.deadline(node), node.timeout);
  std::uint64_t skipped = 0;
  if (next <= time_) {
    const Duration::rep periods = (time_ - next) / node.timeout + 1;
    skipped = static_cast<std::uint64_t>(periods);
    next = later(next + node.timeout * (periods - 1), node.timeout);
  }
  timers_.move_first(node, next);
  if (node.ops->add_missed != nullptr) node.ops->add_missed(node, skipped, pending);
}

void Loop::collect_posted() {
  // Before the queue is taken: a post that comes in between asks again.
  attention_.answer(Attention::kPosted);
  try {
    posts_.take([this](Priority p, std::size_t count) { queue(p).reserve(count); },
                [this](Priority p, std::size_t count) { queue(p).push_posted(count); });
  } catch (...) {
    attention_.ask(Attention::kPosted);
    throw;
  }
}

// Runs what is active now at the first `levels` priorities; what its callbacks make active waits
// for the next iteration.
void Loop::run_levels(std::size_t levels) {
  const std::array<std::uint32_t, kPriorities> slots{active_[0].slots(), active_[1].slots(),
                                                     active_[2].slots()};
  for (std::size_t level = 0; level < levels; ++level) {
    if (level == 1) until_look_ = options_.slice;
    if (slots[level] > 0) run_level(level, slots[level]);
  }
}

// Everything is as it shall be after the callback before it runs: it may do anything to the event.
inline void Loop::fire(Node& node) {
  const auto fired = static_cast<Events>(node.fired);
  node.fired = 0;
  if (!any(node.events & Events::persist) || node.timer_form != TimerForm::none) prepare(node);
  node.ops->call(node, fired);
}

// After each slice below the highest priority the kernel is asked, and what is more urgent runs.
void Loop::run_level(std::size_t level, std::uint32_t slots) {
  ActiveQueue& queue = active_[level];
  for (; slots > 0; --slots) {
    if (level > 0 && until_look_-- == 0) look_above(level);
    if (queue.slots() == 0 || attention_.asked(Attention::kStopNow)) return;
    Node* const node = queue.pop();
    if (node == nullptr) continue;
    ++ran_;
    if (node != ActiveQueue::posted()) {
      fire(*node);
    } else {
      run_posted(static_cast<Priority>(level));
    }
  }
}

void Loop::run_posted(Priority priority) { posts_.pop(priority)(); }

// A slice has run: looks at the kernel, if something more urgent could have become active, and runs
// that.
void Loop::look_above(std::size_t level) {
  std::size_t above = 0;
  for (std::size_t i = 0; i < level; ++i) above += attached_[i];
  if ((above > 0 || attention_.asked(Attention::kPosted)) && !attention_.asked(kStops)) {
    look(false);
    run_levels(level);
  }
  until_look_ = options_.slice - 1;  // whatever ran above, this priority gets its slice
}

// The timeouts of a persistent event, and the end of a one-shot's watch.
void Loop::prepare(Node& node) noexcept {
  if (!any(node.events & Events::persist)) {
    if (node.attached) end_watch(node);
  } else if (!is_ticker(node)) {
    timers_.set(node, later(iteration_time(), node.timeout));
  } else if (node.timeout == Duration::zero()) {
    timers_.set(node, iteration_time());
  }
}

void Loop::stop(std::uint32_t how) noexcept {
  stopping_.fetch_add(1, std::memory_order_relaxed);
  if (attention_.ask(how)) wakeup_.wake();
  stopping_.fetch_sub(1, std::memory_order_release);
}

void Loop::post(Task&& task, Priority priority) {
  posts_.push(std::move(task), Node::valid(priority), [this] {
    if (attention_.ask(Attention::kPosted)) wakeup_.wake();
  });
}

TimePoint Loop::real_time() const noexcept {
  return options_.time != nullptr ? options_.time->now() : std::chrono::steady_clock::now();
}

// Read when it is first asked for: an iteration that needs no time does not pay for it.
TimePoint Loop::iteration_time() const noexcept {
  if (!time_known_) {
    time_ = real_time();
    time_known_ = true;
  }
  return time_;
}

TimePoint Loop::now() const noexcept { return running_ ? iteration_time() : real_time(); }

void Loop::assert_thread() const noexcept {
  assert((!running_ || thread_ == std::this_thread::get_id()) &&
         "a base and its events belong to the thread that runs it");
}

}  // namespace event::detail
