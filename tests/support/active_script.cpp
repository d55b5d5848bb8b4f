#include "support/active_script.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace event_cpp::test {

using detail::ActiveQueue;
using detail::Node;

ActiveScript::ActiveScript(Random& random, std::size_t nodes) : random_(random) {
  for (std::size_t i = 0; i < nodes; ++i) {
    nodes_.emplace_back(nullptr, nullptr, -1, Events::timeout, Priority::middle);
  }
}

void ActiveScript::step() {
  const std::size_t q = random_.below(3);
  switch (random_.below(9)) {
    case 0:
      return push_posted(q, random_.below(10));
    case 1:
    case 2:
      return remove(nodes_[random_.below(nodes_.size())]);
    case 3:
      return pop(q, random_.below(1 + models_[q].size()));
    case 4:
      ASSERT_EQ(queues_[q].rewind(), queues_[q].empty());
      if (queues_[q].empty()) models_[q].clear();
      return;
    case 5:
      return expect_each(q);
    default:
      push(q, nodes_[random_.below(nodes_.size())]);
  }
}

void ActiveScript::expect_as_models() {
  for (std::size_t q = 0; q < 3; ++q) {
    std::size_t live = 0;
    for (const Node* const node : models_[q]) live += node != ActiveQueue::hole() ? 1 : 0;
    ASSERT_EQ(queues_[q].slots(), models_[q].size());
    ASSERT_EQ(queues_[q].size(), live);
    ASSERT_EQ(queues_[q].empty(), live == 0);
    if (!models_[q].empty()) {
      ASSERT_EQ(queues_[q].first(), models_[q].front());
    }
  }
}

void ActiveScript::pop_everything() {
  for (std::size_t q = 0; q < 3; ++q) pop(q, models_[q].size());
}

void ActiveScript::push(std::size_t q, Node& node) {
  if (node.active != Node::kNowhere) return;
  node.priority = static_cast<Priority>(q);
  if (random_.one_in(2)) {
    queues_[q].push(node);
  } else {
    queues_[q].push_from_spare(node);
  }
  models_[q].push_back(&node);
  ASSERT_EQ(static_cast<std::size_t>(ActiveQueue::priority_of(node)), q);
}

void ActiveScript::push_posted(std::size_t q, std::size_t count) {
  queues_[q].reserve(count);
  queues_[q].push_posted(count);
  models_[q].insert(models_[q].end(), count, ActiveQueue::posted());
}

void ActiveScript::remove(Node& node) {
  if (node.active == Node::kNowhere) return;
  const auto q = static_cast<std::size_t>(ActiveQueue::priority_of(node));
  queues_[q].remove(node);
  ASSERT_EQ(node.active, Node::kNowhere);
  const auto found = std::find(models_[q].begin(), models_[q].end(), &node);
  ASSERT_NE(found, models_[q].end());
  *found = ActiveQueue::hole();
}

void ActiveScript::pop(std::size_t q, std::size_t count) {
  for (; count > 0; --count) {
    Node* const expected = models_[q].front();
    models_[q].pop_front();
    ASSERT_EQ(queues_[q].pop(), expected);
    if (expected == ActiveQueue::hole() || expected == ActiveQueue::posted()) continue;
    ASSERT_EQ(expected->active, Node::kNowhere);
  }
  if (random_.one_in(2)) queues_[q].rewind_if_all_ran();
}

// As for_each() shows it.
void ActiveScript::expect_each(std::size_t q) {
  auto next = models_[q].begin();
  queues_[q].for_each([&](const Node& node) {
    while (next != models_[q].end() && !ActiveQueue::is_node(*next)) ++next;
    ASSERT_NE(next, models_[q].end());
    ASSERT_EQ(&node, *next++);
  });
}

}  // namespace event_cpp::test
