// The events and posted functions that are due to run, by priority.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "event/detail/node.hpp"
#include "loop/active_queue.hpp"
#include "loop/priorities.hpp"

namespace event_cpp::detail {

class ActiveByPriority {
 public:
  ActiveQueue& operator[](std::size_t level) noexcept { return queues_[level]; }
  ActiveQueue& operator[](Priority priority) noexcept {
    return queues_[static_cast<std::size_t>(priority)];
  }

  // The node does not run any more. Requires: it is active.
  void remove(Node& node) noexcept {
    (*this)[ActiveQueue::priority_of(node)].remove(node);
    node.fired = 0;
  }

  bool empty() const noexcept {
    return queues_[0].empty() && queues_[1].empty() && queues_[2].empty();
  }
  // The same, sooner: true only if the queues begin at the front besides.
  bool untouched() const noexcept {
    return (queues_[0].end() | queues_[1].end() | queues_[2].end()) == 0;
  }
  std::size_t size() const noexcept {
    return std::size_t{queues_[0].size()} + queues_[1].size() + queues_[2].size();
  }

  // The queues begin at the front again: not while a batch runs, which counts their slots. Returns
  // whether nothing is active.
  bool rewind() noexcept {
    if (untouched()) [[likely]]
      return true;
    bool all_empty = true;
    for (ActiveQueue& queue : queues_) {
      if (!queue.rewind()) all_empty = false;
    }
    return all_empty;
  }

  // Makes room for so many more. Errors: throws std::bad_alloc.
  void reserve(std::size_t count) {
    for (ActiveQueue& queue : queues_) queue.reserve(count);
  }
  void shrink(std::size_t most) noexcept {
    for (ActiveQueue& queue : queues_) queue.shrink(most);
  }
  template <class F>
  void for_each(F&& f) const {
    for (const ActiveQueue& queue : queues_) queue.for_each(f);
  }
  // Calls f(node) for each node and forgets them all, posted functions included.
  template <class F>
  void clear(F&& f) noexcept {
    for (ActiveQueue& queue : queues_) queue.clear(f);
  }

 private:
  std::array<ActiveQueue, kPriorities> queues_;
};

}  // namespace event_cpp::detail
