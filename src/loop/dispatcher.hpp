// Runs callbacks: by priority, and within one in the order in which they became due.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "event/detail/node.hpp"
#include "event/options.hpp"
#include "event/stats.hpp"
#include "loop/attention.hpp"
#include "loop/callback_timer.hpp"
#include "loop/clock.hpp"
#include "loop/post_queue.hpp"
#include "loop/priorities.hpp"
#include "loop/watches.hpp"

namespace event_cpp::detail {

// User code runs here and nowhere else, so what a callback does to any event finds the queues in
// order.
//
// After each slice of callbacks below the highest priority the loop polls the kernel, if something
// more urgent could have become active, and that runs first.
class Dispatcher {
 public:
  Dispatcher(Loop& loop, const Options& options, Watches& watches, PostQueue& posts) noexcept
      : loop_(loop),
        watches_(watches),
        posts_(posts),
        slice_(options.slice != 0 ? options.slice : 1),
        order_(options.order) {}
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Runs what is active now, of the `levels` highest priorities; what its callbacks make active
  // waits for the next iteration. What a callback throws comes out of here.
  void run_active(std::size_t levels = kPriorities);

  // Runs a node that is not queued.
  [[gnu::always_inline]] void run_only(Node& node, Events fired) {
    count(node.priority, 1);
    watches_.prepare_to_fire(node);
    node.ops->call(node, fired);
  }

  // How many callbacks ran, by priority.
  const std::array<std::uint64_t, kPriorities>& callbacks() const noexcept { return callbacks_; }
  std::uint64_t total() const noexcept { return callbacks_[0] + callbacks_[1] + callbacks_[2]; }
  void count(Priority priority, std::size_t more) noexcept {
    callbacks_[static_cast<std::size_t>(priority)] += more;
  }
  // The callback that is running did nothing for a user.
  void uncount(Priority priority) noexcept { --callbacks_[static_cast<std::size_t>(priority)]; }

  // Callbacks are timed from now on. Errors: throws std::bad_alloc.
  CallbackTimer& time_callbacks() {
    if (timer_ == nullptr) timer_ = std::make_unique<CallbackTimer>(watches_.clock());
    return *timer_;
  }
  bool times_callbacks() const noexcept { return timer_ != nullptr; }
  CallbackTime longest() const noexcept {
    return timer_ != nullptr ? timer_->longest() : CallbackTime{};
  }
  // Callbacks are not timed any more. Returns whether they were.
  bool drop_timer() noexcept { return std::exchange(timer_, nullptr) != nullptr; }

 private:
  void run_level(std::size_t level, std::uint32_t slots);
  void run_in_slices(std::size_t level, std::uint32_t slots);
  bool run_slice(std::size_t level, std::uint32_t slots);
  bool run_slice_timed(std::size_t level, std::uint32_t slots);
  std::uint32_t run_posted(std::size_t level, std::uint32_t most);
  void poll_above(std::size_t level);

  Loop& loop_;
  Watches& watches_;
  PostQueue& posts_;
  std::array<std::uint64_t, kPriorities> callbacks_{};
  const std::size_t slice_;
  Order* const order_;          // null: first in, first out
  std::size_t until_poll_ = 0;  // callbacks below the highest priority before the next one
  std::unique_ptr<CallbackTimer> timer_;  // none: callbacks are not timed
};

}  // namespace event_cpp::detail
