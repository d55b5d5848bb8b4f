// How long callbacks take, and the report of those that take too long.
#pragma once

#include <memory>
#include <utility>

#include "event/detail/callable.hpp"
#include "event/detail/node.hpp"
#include "event/stats.hpp"
#include "loop/active_queue.hpp"
#include "loop/clock.hpp"

namespace event_cpp::detail {

// The clock is read once per callback: where one ends the next begins.
class CallbackTimer {
 public:
  explicit CallbackTimer(const LoopClock& clock) noexcept : clock_(clock) {}

  void report_beyond(Duration budget, std::shared_ptr<SlowReport> report) noexcept {
    budget_ = budget;
    report_ = std::move(report);
  }
  const CallbackTime& longest() const noexcept { return longest_; }

  // A row of callbacks begins.
  void start() noexcept { mark_ = clock_.now(); }

  // `slot` runs next: a node, or ActiveQueue::posted().
  CallbackTime begin(const Node* slot, Priority priority) const noexcept {
    CallbackTime measured;
    measured.began = mark_;
    measured.priority = priority;
    if (slot == ActiveQueue::posted()) return measured;
    measured.event = slot;
    measured.fd = slot->fd();
    measured.events = slot->events & ~Node::kOnProcess;
    measured.fired = static_cast<Events>(slot->fired) & ~Node::kTicked;
    return measured;
  }

  // It has run. What the report throws comes out of here.
  void end(CallbackTime measured) {
    start();
    measured.took = mark_ - measured.began;
    if (measured.took > longest_.took) longest_ = measured;
    if (measured.took <= budget_ || report_ == nullptr) return;
    const std::shared_ptr<SlowReport> report = report_;  // it may replace itself
    (*report)(measured);
    start();
  }

 private:
  const LoopClock& clock_;
  Duration budget_ = Duration::max();
  std::shared_ptr<SlowReport> report_;
  CallbackTime longest_;
  TimePoint mark_;  // when the last callback ended
};

}  // namespace event_cpp::detail
