#include "loop/other_clocks.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "event/error.hpp"

namespace event_cpp::detail {

OtherClocks::OtherClocks(Loop& loop, const Options& options, Watches& watches)
    : source_(options.time), kernel_(watches.kernel()), watches_(watches), clock_(watches.clock()) {
  if (!clock_.is_boottime()) return;
  boottime_.emplace(loop);
  const int error = reopen();
  if (error == ENOTSUP) throw std::system_error(Errc::unsupported, "Clock::boottime");
  if (error != 0) throw std::system_error(error, std::system_category(), "Clock::boottime");
}

int OtherClocks::reopen() noexcept {
  if (!boottime_) return 0;
  return boottime_->open(TimerFd::Of::boottime, watches_.table(), kernel_);
}

void OtherClocks::wait(bool block) {
  if (source_ != nullptr) return wait_on_source(block);
  if (boottime_) return wait_on_boottime(block);
  kernel_.wait(std::min(watches_.next_timer(), watches_.alarms()->wake_for_next()), block);
}

void OtherClocks::wait_on_boottime(bool block) {
  TimePoint next = watches_.next_timer();
  if (Alarms* const alarms = watches_.alarms()) next = std::min(next, alarms->wake_for_next());
  TimePoint until = TimePoint::max();
  if (block && next != TimePoint::max()) {
    const TimePoint now = boot_time();
    block = next > now;
    // Without the kernel to tell, by the clock that stands still: a suspension shows a little late.
    if (block && !boottime_->wake_at(next)) {
      until = later(std::chrono::steady_clock::now(), std::min(next - now, Alarms::kLookAtClock));
    }
  }
  kernel_.wait(until, block);
  kernel_.batch().expired = true;
}

// What a source of time is to be moved to, timers and alarms alike.
TimePoint OtherClocks::next_on_source(TimePoint time) noexcept {
  const TimePoint next = watches_.next_timer_exactly();
  const Alarms* const alarms = watches_.alarms();
  return alarms != nullptr ? std::min(next, later(time, alarms->until_next())) : next;
}

// The kernel's clock is not the base's: it is asked first, and then the source moves the time, or
// the wait is as long as is left by the source.
void OtherClocks::wait_on_source(bool block) {
  const TimePoint time = source_->now();
  const TimePoint next = next_on_source(time);
  const bool deadline = next != TimePoint::max();
  kernel_.wait(TimePoint::max(), block && !deadline);
  if (block && next > time && deadline && kernel_.batch().size() == 0 &&
      !kernel_.attention().test(Attention::kWants) && !source_->skip_to(next)) {
    Duration left = source_->sleep_until(next);
    const bool passes = left != Duration::max();
    if (passes && watches_.alarms() != nullptr) left = std::min(left, Alarms::kLookAtClock);
    if (left > Duration::zero()) {
      kernel_.wait(passes ? later(std::chrono::steady_clock::now(), left) : TimePoint::max(), true);
    }
  }
  kernel_.batch().expired = true;
  // Callbacks may move a source: this is the iteration's time before they do, and after the wait.
  clock_.begin_iteration();
  static_cast<void>(clock_.iteration());
}

void OtherClocks::skip_wait() {
  if (source_ == nullptr || kernel_.attention().test(Attention::kWants)) return;
  const TimePoint next = next_on_source(source_->now());
  if (next != TimePoint::max()) static_cast<void>(source_->skip_to(next));
}

void OtherClocks::show_deadlines() noexcept {
  if (Alarms* const alarms = watches_.alarms()) static_cast<void>(alarms->wake_for_next());
  if (boottime_) static_cast<void>(boottime_->wake_at(watches_.next_timer()));
}

Duration OtherClocks::longest_wait() noexcept {
  const TimePoint next = watches_.next_timer_exactly();
  const Duration left = next != TimePoint::max() ? between(clock_.now(), next) : Duration::max();
  const Alarms* const alarms = watches_.alarms();
  return alarms != nullptr ? std::min(left, alarms->longest_wait()) : left;
}

}  // namespace event_cpp::detail
