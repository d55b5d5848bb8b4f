// The events on processes that the backend watches without a descriptor for each.
#pragma once

#include <algorithm>
#include <cerrno>
#include <new>
#include <vector>

#include "event/detail/node.hpp"
#include "poller/poller.hpp"

namespace event_cpp::detail {

class Processes {
 public:
  explicit Processes(Poller& backend) noexcept : poller_(backend) {}

  // Adds an event on process node.descriptor. Returns 0, or an errno as Poller::watch(), and
  // then has changed nothing.
  int add(Node& node) noexcept {
    const int error = poller_.watch(Source::process, node.descriptor);
    if (error != 0) return error;
    try {
      nodes_.push_back(&node);
    } catch (const std::bad_alloc&) {
      unwatch(node.descriptor);
      return ENOMEM;
    }
    return 0;
  }

  // Requires: it was added.
  void remove(Node& node) noexcept {
    nodes_.erase(std::find(nodes_.begin(), nodes_.end(), &node));
    unwatch(node.descriptor);
  }

  // In the child of a fork, once the backend has restarted. Calls ended(node) for each whose
  // process is not there any more. Returns 0 or the errno of one that cannot be watched.
  template <class Ended>
  int watch_again(Ended&& ended) noexcept {
    for (Node* const node : nodes_) {
      const int error = poller_.watch(Source::process, node->descriptor);
      if (error == ESRCH) ended(*node);
      if (error != 0 && error != ESRCH) return error;
    }
    return 0;
  }

  // Calls f(node) for each event, or for each on one process, in the order of attaching.
  template <class F>
  void for_each(F&& f) const {
    for (Node* const node : nodes_) f(*node);
  }
  template <class F>
  void for_each_on(int pid, F&& f) const {
    for (Node* const node : nodes_) {
      if (node->descriptor == pid) f(*node);
    }
  }

  // Calls f(node) for each event and removes it.
  template <class F>
  void clear(F&& f) noexcept {
    while (!nodes_.empty()) {
      Node& node = *nodes_.back();
      remove(node);
      f(node);
    }
  }

 private:
  // Unless an event is on it.
  void unwatch(int pid) noexcept {
    bool has_event = false;
    for_each_on(pid, [&](Node&) { has_event = true; });
    if (!has_event) poller_.unwatch(Source::process, pid);
  }

  Poller& poller_;
  std::vector<Node*> nodes_;  // in the order of attaching
};

}  // namespace event_cpp::detail
