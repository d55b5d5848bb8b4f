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
#include "loop/active_queue.hpp"
#include "loop/callback_timer.hpp"
#include "loop/clock.hpp"
#include "loop/post_queue.hpp"
#include "loop/waker.hpp"

namespace event_cpp::detail {

// The active events and posted functions of a loop, and how many have run. User code runs here and
// nowhere else, so what a callback does to any event finds the queues in order.
//
// After each slice of callbacks below the highest priority the loop polls the kernel, if something
// more urgent could have become active, and that runs first.
class Dispatcher {
 public:
  static constexpr std::size_t kPriorities = PostQueue::kPriorities;

  // Errors: throws std::bad_alloc.
  Dispatcher(Loop& loop, const Options& options, const Waker& waker, const LoopClock& clock,
             PostQueue& posts)
      : loop_(loop),
        slice_(options.slice),
        order_(options.order),
        attention_(waker.attention()),
        clock_(clock),
        posts_(posts) {}
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Errors: throws std::bad_alloc, and nothing changes.
  void make_active(Node& node, Events fired) {
    if (node.active == Node::kNowhere) [[likely]]
      queue(node.priority).push(node);
    add_fired(node, fired);
  }
  // The same, without memory out of room kept for it: for callers that cannot report an error.
  void activate(Node& node, Events fired) noexcept {
    if (node.active == Node::kNowhere) queue(node.priority).push_from_spare(node);
    add_fired(node, fired);
  }
  // So many posted functions. Requires: make_room() since the last push.
  void push_posted(Priority priority, std::size_t count) noexcept {
    queue(priority).push_posted(count);
  }
  void make_room(Priority priority) { queue(priority).reserve(1); }

  // The node does not run any more. Requires: it is active.
  void remove(Node& node) noexcept;

  // What was due for these reasons alone does not run any more. Requires: it is active.
  void call_off(Node& node, Events reasons) noexcept {
    node.fired = static_cast<std::uint8_t>(static_cast<Events>(node.fired) & ~reasons);
    if (node.fired == 0) remove(node);
  }

  bool anything_active() const noexcept {
    return !active_[0].empty() || !active_[1].empty() || !active_[2].empty();
  }
  std::size_t active_count() const noexcept {
    return std::size_t{active_[0].size()} + active_[1].size() + active_[2].size();
  }

  // The queues begin at the front again: not while a batch runs, which counts their slots. Returns
  // whether nothing is active.
  bool rewind() noexcept {
    if ((active_[0].end() | active_[1].end() | active_[2].end()) == 0) [[likely]]
      return true;
    bool nothing_active = true;
    for (ActiveQueue& queue : active_) {
      if (!queue.rewind()) nothing_active = false;
    }
    return nothing_active;
  }

  // Runs what is active now; what its callbacks make active waits for the next iteration. What a
  // callback throws comes out of here.
  void run_active() {
    if (order_ != nullptr) [[unlikely]]
      pick_order(kPriorities);
    run_levels(active_[0].slots(), active_[1].slots(), active_[2].slots());
  }
  // Runs a node that is not queued, with node.fired.
  void run_only(Node& node);

  // How many callbacks ran, by priority.
  const std::array<std::uint64_t, kPriorities>& callbacks() const noexcept { return callbacks_; }
  std::uint64_t total() const noexcept { return callbacks_[0] + callbacks_[1] + callbacks_[2]; }
  void count(Priority priority, std::size_t more) noexcept { callbacks_[index(priority)] += more; }
  // The callback that is running did nothing for a user.
  void uncount(Priority priority) noexcept { --callbacks_[index(priority)]; }

  // Callbacks are timed from now on. Errors: throws std::bad_alloc.
  CallbackTimer& time_callbacks() {
    if (timer_ == nullptr) timer_ = std::make_unique<CallbackTimer>(clock_);
    return *timer_;
  }
  bool times_callbacks() const noexcept { return timer_ != nullptr; }
  CallbackTime longest() const noexcept {
    return timer_ != nullptr ? timer_->longest() : CallbackTime{};
  }
  // Callbacks are not timed any more. Returns whether they were.
  bool drop_timer() noexcept { return std::exchange(timer_, nullptr) != nullptr; }

  // Makes room for so many more. Errors: throws std::bad_alloc.
  void reserve(std::size_t count) {
    for (ActiveQueue& queue : active_) queue.reserve(count);
  }
  void shrink(std::size_t most) noexcept {
    for (ActiveQueue& queue : active_) queue.shrink(most);
  }
  template <class F>
  void for_each(F&& f) const {
    for (const ActiveQueue& queue : active_) queue.for_each(f);
  }
  // Calls f(node) for each node and forgets them all, posted functions included.
  template <class F>
  void clear(F&& f) noexcept {
    for (ActiveQueue& queue : active_) queue.clear(f);
  }

 private:
  static std::size_t index(Priority priority) noexcept {
    return static_cast<std::size_t>(priority);
  }
  ActiveQueue& queue(Priority priority) noexcept { return active_[index(priority)]; }
  static void add_fired(Node& node, Events fired) noexcept {
    node.fired = static_cast<std::uint8_t>(static_cast<Events>(node.fired) | fired);
  }

  static void fire(Loop& loop, Node& node);
  void run_levels(std::uint32_t high, std::uint32_t middle, std::uint32_t low);
  void run_level(std::size_t level, std::uint32_t slots);
  void run_in_slices(std::size_t level, std::uint32_t slots);
  bool run_slice(std::size_t level, std::uint32_t slots);
  bool run_slice_timed(std::size_t level, std::uint32_t slots);
  std::uint32_t run_posted(std::size_t level, std::uint32_t most);
  void poll_above(std::size_t level);
  [[gnu::cold, gnu::noinline]] void pick_order(std::size_t levels);

  Loop& loop_;
  std::array<ActiveQueue, kPriorities> active_;
  std::array<std::uint64_t, kPriorities> callbacks_{};
  const std::size_t slice_;
  Order* const order_;          // null: first in, first out
  std::size_t until_poll_ = 0;  // callbacks below the highest priority before the next one
  const Attention& attention_;
  const LoopClock& clock_;
  PostQueue& posts_;
  std::unique_ptr<CallbackTimer> timer_;  // none: callbacks are not timed
};

}  // namespace event_cpp::detail
