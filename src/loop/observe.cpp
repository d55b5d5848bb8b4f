// What can be seen of events: counters, and a list.
#include <algorithm>
#include <array>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.hpp"
#include "loop/watches.hpp"

namespace event_cpp::detail {
namespace {

struct Name {
  Events bit;
  std::string_view text;
};

constexpr auto kConditionNames = std::to_array<Name>({
    {Events::read, "read"},
    {Events::write, "write"},
    {Events::closed, "closed"},
    {Events::urgent, "urgent"},
    {Events::error, "error"},
    {Events::signal, "signal"},
    {Events::timeout, "timeout"},
});

constexpr auto kOptionNames = std::to_array<Name>({
    {Events::edge, ", edge"},
    {Events::exclusive, ", exclusive"},
});

constexpr std::array<std::string_view, kPriorities> kPriorityNames{"high", "middle", "low"};

std::string conditions(Events events) {
  std::string text;
  for (const Name& name : kConditionNames) {
    if (!any(events & name.bit)) continue;
    if (!text.empty()) text += '|';
    text += name.text;
  }
  return text;
}

// As 1.500 s: what a reader of a list needs of a time.
std::string seconds(Duration time) {
  const Duration::rep milliseconds = time.count() / 1'000'000;
  const std::string thousandths = to_text(1000 + milliseconds % 1000).substr(1);
  return to_text(milliseconds / 1000) + '.' + thousandths + " s";
}

// What it is that is waited for: "fd 7 read|write", "signal 15", "timer", "ticker", "alarm".
std::string subject(const Node& node) {
  const Events conditions_of_fd = node.events & FdTable::kConditions;
  if (any(conditions_of_fd) || node.linked) {
    const std::string gone = node.stale ? " (closed)" : "";
    const std::string waits_for = any(conditions_of_fd) ? conditions(conditions_of_fd) : "paused";
    return "fd " + to_text(node.fd()) + gone + ' ' + waits_for;
  }
  if (any(node.events & Node::kOnProcess)) return "process " + to_text(node.fd());
  if (any(node.events & Events::signal)) return "signal " + to_text(node.fd());
  if (node.kind() == NodeKind::alarm) return "alarm";
  return any(node.events & Events::persist) ? "ticker" : "timer";
}

}  // namespace

Stats Watches::stats() const noexcept {
  Stats stats = stats_;
  stats.attached = size();
  stats.active = active_.size();
  return stats;
}

std::string Watches::describe(const Node& node) const {
  std::string text = subject(node);
  for (const Name& name : kOptionNames) {
    if (any(node.events & name.bit)) text += name.text;
  }
  text += any(node.events & Events::persist) ? ", persist, " : ", one-shot, ";
  text += kPriorityNames[static_cast<std::size_t>(node.priority)];
  if (const std::optional<TimePoint> at = deadline(node)) {
    const TimePoint now = node.kind() == NodeKind::alarm ? from_wall(clock_.wall()) : clock_.now();
    text += *at > now ? ", due in " + seconds(between(now, *at)) : ", due now";
  }
  if (!node.keeps_alive) text += ", not keeping alive";
  const bool active = node.active != Node::kNowhere;
  return text + (active ? ", active: " + conditions(static_cast<Events>(node.fired)) : ", waiting");
}

// Appends what waits for nothing but a deadline of this queue. Those that are due have left it, and
// come first.
void Watches::list_timed(const TimerQueue& queue, std::vector<const Node*>& nodes) const {
  const NodeKind of_queue = &queue == &timers_ ? NodeKind::event : NodeKind::alarm;
  const auto list = [&](const Node& node) {
    const bool only_timed = !any(node.events & kBesideTime) && !node.linked;
    if (node.attached && only_timed && node.kind() == of_queue) nodes.push_back(&node);
  };
  active_.for_each([&](const Node& node) {
    if (!deadline(node)) list(node);
  });
  const auto due = static_cast<std::ptrdiff_t>(nodes.size());
  queue.for_each(list);
  std::sort(nodes.begin() + due, nodes.end(),
            [&](const Node* a, const Node* b) { return queue.deadline(*a) < queue.deadline(*b); });
}

void Watches::dump(std::ostream& out) {
  thread_.assert_here();
  std::vector<const Node*> nodes;
  table_.for_each_attached([&](const Node& node) {
    if (node.kind() != NodeKind::internal) nodes.push_back(&node);
  });
  list_timed(timers_, nodes);
  signals_.for_each([&](const Node& node) { nodes.push_back(&node); });
  processes_.for_each([&](const Node& node) { nodes.push_back(&node); });
  if (alarms_ != nullptr) list_timed(alarms_->queue, nodes);
  // Written at once: a stream is the user's, and may change the events.
  std::string text;
  for (const Node* const node : nodes) text += describe(*node) + '\n';
  out << text;
}

}  // namespace event_cpp::detail
