#include "loop/loop.hpp"

#include <cassert>
#include <cerrno>
#include <new>

#include "event/error.hpp"

namespace event_cpp::detail {
namespace {

constexpr std::uint32_t kStops = Attention::kStops;

// Memory that a burst took is given back every so many iterations, and when dispatch() returns:
// rarely enough that a load which needs it all the time does not notice. So much is kept in any
// case, of each table.
constexpr std::uint64_t kGiveBackEvery = 1024;
constexpr std::size_t kKeptBytes = std::size_t{256} * 1024;

// After so many waits one reported fd is checked: see FdTable::check_reported().
constexpr std::uint64_t kWaitsPerCheck = 4096;

}  // namespace

Loop::Loop(Base& base, const Options& options)
    : watches_(this, options),
      base_(base),
      wakeup_node_(&kWakeupOps, this, -1,
                   Events::read | Events::persist | (kernel().traits().supported & Events::edge),
                   Priority::high),
      other_clocks_(*this, options, watches_),
      dispatcher_(*this, options, watches_, posts_) {
  const int error = watches_.table().add_internal(wakeup_node_, kernel().waker().fd());
  if (error != 0) throw std::system_error(error, std::system_category(), "wake-up");
  if (options.timing) static_cast<void>(dispatcher_.time_callbacks());
}

void Loop::close() noexcept {
  assert(!running() && "a base must not be destroyed in a callback");
  if (!watches_.is_ours()) {
    watches_.detach_after_fork();
    forget_other_threads();
  }
  watches_.clear();
  watches_.thread().close();
  watches_.disown();  // whatever needs the kernel now asks restart_after_fork(), which refuses
}

bool Loop::drop() noexcept {
  const bool had_timer = dispatcher_.drop_timer();
  return posts_.drop_all() || had_timer;
}

// From entering run() to leaving it, by whatever way.
class Loop::Running {
 public:
  explicit Running(Loop& loop) noexcept : loop_(loop) {
    loop.watches_.thread().begin();
    loop.clock().begin_iteration();
    if (loop.embedded_) loop.attention().wake_up();
  }
  ~Running() {
    loop_.watches_.thread().end();
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
  watches_.thread().assert_here();
  if (running()) throw std::system_error(Errc::reentered);
  const Running running(*this);
  const std::uint64_t before = dispatcher_.total();
  const bool keep_alive = any(mode & RunMode::keep_alive);
  const bool nonblock = any(mode & RunMode::nonblock);
  const bool once = any(mode & RunMode::once);
  waits_ = !nonblock;

  // After a stop that came before this call, only what an earlier call left active is run.
  if (attention().test(kStops)) dispatcher_.run_active();
  const auto goes_on = [&] { return keep_alive || nonblock || alive(); };
  while (!attention().test(kStops) && goes_on()) {
    if (iterations_ % kGiveBackEvery == 0) [[unlikely]]
      give_back_memory();
    if (!hooks_.empty()) {
      hooks_.run(Hook::When::before_wait);
      if (!goes_on()) break;
    }
    run_once();
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
  return watches_.any_keeps_alive() || attention().test(Attention::kPosted) ||
         !watches_.active().empty() || hooks_.any(Hook::When::idle);
}

// One iteration. User code runs in the dispatcher and in hooks, nowhere else.
inline void Loop::run_once() {
  ActiveByPriority& active = watches_.active();
  const bool wait = active.rewind() && waits_ && !hooks_.any(Hook::When::idle);
  poll(wait);
  if (wait && run_only()) return;
  watches_.collect();
  if (attention().test(Attention::kPosted)) collect_posted();
  if (!hooks_.empty()) [[unlikely]] {
    hooks_.run(Hook::When::after_wait);
    if (active.empty()) return run_idle_hooks();
  }
  if (!active.untouched()) dispatcher_.run_active();
}

// Updates what the kernel watches, and waits. Requires: nothing is active if it is to wait.
[[gnu::always_inline]] inline void Loop::poll(bool block) {
  if (!watches_.is_ours()) [[unlikely]]
    restart_or_throw();
  ++iterations_;
  clock().begin_iteration();
  if (const int error = watches_.table().flush(); error != 0) [[unlikely]]
    kernel().fail(error, "changing what the kernel watches");
  // The last batch is left over if memory for an active queue ran out on the way.
  if (!kernel().batch().taken()) return;
  if (clock().is_monotonic() && watches_.alarms() == nullptr) [[likely]] {
    kernel().wait(watches_.next_timer(), block);
  } else {
    other_clocks_.wait(block);
  }
  if (kernel().waits() % kWaitsPerCheck == 0) [[unlikely]]
    watches_.table().check_reported();
}

void Loop::restart_or_throw() {
  const std::error_code error = restart_after_fork();
  if (error) throw std::system_error(error, "event::Base::after_fork");
}

// A single ready event with nothing else pending runs without queueing. A server that is not busy
// has one event in each batch, and its iteration is a third shorter so: row "ring A=1" of
// bench/costs.txt.
inline bool Loop::run_only() {
  constexpr std::uint32_t kElse = Attention::kSignalled | Attention::kPosted | Attention::kStopNow;
  if (attention().test(kElse) || !hooks_.empty() || dispatcher_.times_callbacks()) return false;
  Events fired{};
  Node* const node = watches_.take_only(fired);
  if (node == nullptr) return false;
  dispatcher_.run_only(*node, fired);
  return true;
}

// What other threads posted becomes active.
void Loop::collect_posted() {
  // Before the queue is taken: a post that comes in between asks again.
  attention().clear(Attention::kPosted);
  ActiveByPriority& active = watches_.active();
  try {
    posts_.take([&](Priority priority) { active[priority].reserve(1); },
                [&](Priority priority, std::size_t count) {
                  active[priority].push_posted(count);
                  posts_taken_ += count;
                });
  } catch (const std::bad_alloc&) {
    attention().set(Attention::kPosted);
    if (active.empty()) throw;  // else as in Watches::collect()
  }
}

void Loop::run_idle_hooks() {
  if (attention().test(kStops)) return;
  dispatcher_.count(Priority::low, hooks_.run(Hook::When::idle));
  // While there is such a hook poll() did not wait.
  if (waits_ && hooks_.any(Hook::When::idle) && watches_.active().empty()) {
    other_clocks_.skip_wait();
  }
}

bool Loop::poll_above(std::size_t level) {
  const bool posted = attention().test(Attention::posted_above(level));
  if ((!posted && !watches_.any_attached_above(level)) || attention().test(kStops)) return false;
  poll(false);
  watches_.collect();
  if (attention().test(Attention::kPosted)) collect_posted();
  return true;
}

void Loop::post(Task&& task, Priority priority) {
  posts_.push(std::move(task), Node::valid(priority),
              [this](std::size_t level) { kernel().waker().request(Attention::posted(level)); });
}

void Loop::give_back_memory() noexcept {
  posts_.shrink(kKeptBytes / sizeof(Task));
  watches_.shrink(kKeptBytes);
}

const NodeOps Loop::kWakeupOps{&Loop::on_wakeup, nullptr, NodeKind::internal, nullptr};

// Having ended the wait, it has done its work. Where edges can be watched the descriptor is never
// read: that saves a system call each time.
void Loop::on_wakeup(Node& node, Events) {
  Loop& loop = *node.loop;
  loop.uncount_callback();
  loop.kernel().count_wakeup();
  if (!any(node.events & Events::edge)) loop.kernel().waker().drain();
}

// While somebody else waits for fd(): whatever is wanted of the loop must show there.
void Loop::arm_embedded() noexcept {
  if (!watches_.is_ours()) return;
  watches_.table().flush();
  other_clocks_.show_deadlines();
  const bool hidden = kernel().poller().refresh_fd() || kernel().files().is_any_ready();
  const bool busy = !watches_.active().empty() || !kernel().batch().taken() || hidden;
  if (busy || !attention().fall_asleep()) kernel().waker().wake();
}

int Loop::fd() noexcept {
  watches_.thread().assert_here();
  if (!watches_.is_ours() && restart_after_fork()) return -1;
  const int fd = kernel().poller().fd();
  if (fd >= 0 && !embedded_) {
    embedded_ = true;
    watches_.table().disable_lazy_removal();
    if (!running()) arm_embedded();
  }
  return fd;
}

std::optional<Duration> Loop::next_timeout() noexcept {
  if (!watches_.active().empty() || !kernel().batch().taken() ||
      attention().test(Attention::kWants) || hooks_.any(Hook::When::idle) ||
      kernel().files().is_any_ready()) {
    return Duration::zero();
  }
  const Duration left = other_clocks_.longest_wait();
  return left != Duration::max() ? std::optional(left) : std::nullopt;
}

Stats Loop::stats() const noexcept {
  watches_.thread().assert_here();
  Stats stats = watches_.stats();
  stats.iterations = iterations_;
  stats.waits = kernel().waits();
  stats.wakeups = kernel().wakeups();
  stats.registrations = kernel().files().calls();
  stats.posts = posts_taken_;
  stats.callbacks = dispatcher_.callbacks();
  stats.longest = dispatcher_.longest();
  return stats;
}

std::error_code Loop::on_slow(Duration budget, std::shared_ptr<SlowReport> report) {
  watches_.thread().assert_here();
  if (budget < Duration::zero()) return std::make_error_code(std::errc::invalid_argument);
  dispatcher_.time_callbacks().report_beyond(budget, std::move(report));
  return {};
}

}  // namespace event_cpp::detail
