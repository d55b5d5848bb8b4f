#include "support/timer_script.hpp"

#include <gtest/gtest.h>

namespace event_cpp::test {

using detail::Node;
using detail::TimerForm;

TimerScript::TimerScript(Random& random, std::size_t nodes, Duration::rep grid)
    : random_(random), grid_(grid) {
  for (std::size_t i = 0; i < nodes; ++i) {
    const int fd = random_.one_in(2) ? -1 : static_cast<int>(i);
    nodes_.emplace_back(nullptr, nullptr, fd, Events::timeout, Priority::middle);
    fds_.push_back(fd);
  }
}

Duration TimerScript::up_to(std::size_t end) { return Duration(random_.below(end)); }

TimePoint TimerScript::on_grid(TimePoint at) const {
  return TimePoint(Duration((at.time_since_epoch().count() + grid_ - 1) / grid_ * grid_));
}

void TimerScript::step() {
  Node& node = nodes_[random_.below(nodes_.size())];
  switch (random_.below(7)) {
    case 0:
      if (node.timer_form != TimerForm::none) remove(node);
      break;
    case 1:
      now_ += up_to(4 + static_cast<std::size_t>(grid_));
      take_due();
      break;
    case 2:
      if (keys_.count(&node) != 0) set(node, keys_[&node].first + up_to(20));
      break;
    case 3:
      if (random_.one_in(20)) queue_.reserve(random_.below(100));
      break;
    default:
      set(node, now_ + up_to(40));
  }
}

void TimerScript::expect_agreement() const {
  ASSERT_TRUE(queue_.check_invariants());
  ASSERT_EQ(queue_.size(), order_.size());
  ASSERT_EQ(queue_.empty(), order_.empty());
  if (!order_.empty()) {
    ASSERT_LE(queue_.next(), order_.begin()->first.first);
  }
  for (const auto& [node, key] : keys_) ASSERT_EQ(queue_.deadline(*node), key.first);
  for (std::size_t i = 0; i < nodes_.size(); ++i) ASSERT_EQ(nodes_[i].fd(), fds_[i]);
}

void TimerScript::take_all() {
  for (; !order_.empty() && !testing::Test::HasFatalFailure(); now_ += Duration(10)) take_due();
}

void TimerScript::note(Node& node, TimePoint deadline) {
  forget(node);
  keys_[&node] = {deadline, ++sequence_};
  order_.emplace(keys_[&node], &node);
}

void TimerScript::forget(Node& node) {
  const auto found = keys_.find(&node);
  if (found == keys_.end()) return;
  order_.erase(found->second);
  keys_.erase(found);
}

void TimerScript::set(Node& node, TimePoint deadline) {
  queue_.set(node, on_grid(deadline));
  note(node, on_grid(deadline));
}

void TimerScript::remove(Node& node) {
  queue_.remove(node);
  forget(node);
}

// Takes what is due until, sometimes, it stops on the way.
void TimerScript::take_due() {
  while (random_.below(20) != 19) {
    Node* const node = queue_.due(now_);
    const bool any_due = !order_.empty() && order_.begin()->first.first <= now_;
    ASSERT_EQ(node, any_due ? order_.begin()->second : nullptr);
    if (node == nullptr || random_.below(8) == 7) return;
    if (random_.below(3) == 2) {
      const TimePoint deadline = on_grid(now_ + up_to(20));
      queue_.move_first(*node, deadline);
      note(*node, deadline);
    } else {
      queue_.pop(*node);
      forget(*node);
    }
  }
}

}  // namespace event_cpp::test
