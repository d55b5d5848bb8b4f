// WaitList: chains that wait for the same thing, first in, first out.
#pragma once

#include <utility>

#include "event/co/task.hpp"

namespace event_cpp::co::detail {

[[noreturn]] EVENT_API void throw_broken_pipe();

// `Waiter` is the type of the operation of each chain. A chain leaves the list when it is cancelled
// or destroyed.
template <class Waiter>
class WaitList {
 public:
  WaitList() = default;
  WaitList(const WaitList&) = delete;
  WaitList& operator=(const WaitList&) = delete;

  bool empty() const noexcept { return !head_.linked(); }

  // Requires: chain.pending is a Waiter.
  void add(Chain& chain) noexcept { head_.push_back(chain); }

  Waiter* first() const noexcept {
    return empty() ? nullptr : static_cast<Waiter*>(static_cast<Chain*>(head_.next())->pending);
  }
  // Removes and returns the first waiter; null if there is none.
  Waiter* take_first() noexcept {
    Waiter* const waiter = first();
    if (waiter != nullptr) head_.next()->unlink();
    return waiter;
  }

 private:
  Link head_;
};

// The operations that have succeeded but whose tasks have not resumed yet, in the order in which
// they will. A Waiter has a member `Waiter* next_served_`.
template <class Waiter>
class ServedList {
 public:
  ServedList() = default;
  ServedList(const ServedList&) = delete;
  ServedList& operator=(const ServedList&) = delete;

  void add(Waiter& waiter) noexcept {
    waiter.next_served_ = nullptr;
    *end_ = &waiter;
    end_ = &waiter.next_served_;
  }
  // Does nothing if it was never in the list. Cost: O(1) in that case and for the first waiter,
  // otherwise O(n).
  void remove(const Waiter& waiter) noexcept {
    if (waiter.next_served_ == nullptr && end_ != &waiter.next_served_) return;
    for (Waiter** place = &first_; *place != nullptr; place = &(*place)->next_served_) {
      if (*place != &waiter) continue;
      *place = waiter.next_served_;
      if (end_ == &waiter.next_served_) end_ = place;
      return;
    }
  }
  Waiter* take_first() noexcept {
    Waiter* const first = first_;
    if (first != nullptr) remove(*first);
    return first;
  }

 private:
  Waiter* first_ = nullptr;
  Waiter** end_ = &first_;
};

}  // namespace event_cpp::co::detail
