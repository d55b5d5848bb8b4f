// From what the kernel reports, and what time it is, to the active queues.
#include <new>

#include "loop/watches.hpp"

namespace event_cpp::detail {

[[gnu::always_inline]] inline void Watches::collect_signals() {
  signals_.collect([this](Node& node) {
    active_[node.priority].push(node, Events::signal);
    ++stats_.signals;
  });
}

void Watches::collect() {
  ReadyBatch& batch = kernel_.batch();
  try {
    if (!batch.taken()) {
      for (ReadyBatch::Taking ready(batch); !ready.at_end(); ++ready) {
        if constexpr (kSourcesAreReported) {
          if ((*ready).is_of_source()) {
            collect_source(*ready);
            continue;
          }
        }
        table_.report(*ready,
                      [this](Node& node, Events what) { active_[node.priority].push(node, what); });
      }
    }
    if (batch.expired && !timers_.empty()) collect_due();
    if (alarms_ != nullptr) collect_alarms();
    if (kernel_.attention().test(Attention::kSignalled)) collect_signals();
  } catch (const std::bad_alloc&) {
    // An active queue is full and cannot grow. What it holds runs now, and the rest is taken by the
    // next iteration: then nothing is lost, and there is nothing to report.
    if (active_.empty()) throw;
  }
}

// What the poller watches itself. Where it does not, the wake-up and the blocked signals have an fd
// that is watched as any other, and a Child is an event as any other.
void Watches::collect_source(const ReadyEvent& report) {
  switch (report.source()) {
    case Source::wakeup:
      kernel_.count_wakeup();
      break;
    case Source::signal:
      signals_.take_pending();
      break;
    case Source::process:
      processes_.for_each_on(report.ident(), [this](Node& node) {
        active_[node.priority].push(node, Events::signal);
      });
      break;
  }
}

// With a source of order an iteration takes the deadlines of one time: these are picked among.
inline TimePoint Watches::due_until(TimerQueue& queue, TimePoint now) const noexcept {
  return order_ == nullptr || queue.due(now) == nullptr ? now : queue.next();
}

inline void Watches::count_late(TimePoint due, TimePoint now) noexcept {
  ++stats_.timers;
  ++stats_.lag[Stats::lag_place(between(due, now))];
}

void Watches::collect_due() {
  const TimePoint now = clock_.iteration();
  const TimePoint until = due_until(timers_, now);
  while (Node* const node = timers_.due(until)) {
    active_[node->priority].push(*node, Events::timeout);
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

void Watches::collect_alarms() {
  TimerQueue& queue = alarms_->queue;
  if (queue.empty()) return;
  const TimePoint now = from_wall(clock_.wall());
  const TimePoint until = due_until(queue, now);
  while (Node* const node = queue.due(until)) {
    active_[node->priority].push(*node, Events::timeout);
    count_late(queue.next(), now);
    queue.pop(*node);
  }
}

// Gives a ticker that is due its next deadline: on its schedule, and not in the past.
void Watches::tick(Node& node) noexcept {
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

}  // namespace event_cpp::detail
