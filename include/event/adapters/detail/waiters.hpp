// Waiters: requests that wait for values which come unasked, such as messages.
#pragma once

#include <exception>
#include <optional>
#include <utility>

#include "event/adapters/detail/request.hpp"
#include "event/co/detail/wait_list.hpp"

namespace event_cpp::adapters::detail {

// The requests of one kind, first in, first out. R is a Request with a member `R* next_served_`. It
// passes calls of taken() to taken(), and calls of unclaimed() to take_back().
template <class R>
class Waiters {
 public:
  using Value = typename R::Value;

  bool empty() const noexcept { return !waiting_.linked(); }
  void add(R& request) noexcept { waiting_.push_back(request); }

  // Answers the first request with `value`. Returns false if there is none.
  bool serve(Inbox& inbox, Value& value) noexcept {
    if (empty()) return false;
    R& request = take_first();
    served_.add(request);
    request.answer(inbox, std::move(value));
    return true;
  }
  // Calls fail(request) for each request that waits.
  template <class F>
  void fail_all(F fail) noexcept {
    while (!empty()) fail(take_first());
  }

  void taken(const R& request) noexcept { served_.remove(request); }

  // Returns the value that nobody gets since the task of an answered request is gone. Requests that
  // were served after it have later values: each of these moves to the request before, so that the
  // last one is returned.
  std::optional<Value> take_back(R& request) noexcept {
    if (request.failed()) return std::nullopt;
    for (R* later = request.next_served_; later != nullptr; later = later->next_served_) {
      std::swap(request.value(), later->value());
    }
    served_.remove(request);
    return std::move(request.value());
  }

 private:
  R& take_first() noexcept {
    R& request = static_cast<R&>(static_cast<Answered&>(*waiting_.next()));
    request.unlink();
    return request;
  }

  co::detail::Link waiting_;
  co::detail::ServedList<R> served_;  // answered requests that have not gone on, with a value
};

}  // namespace event_cpp::adapters::detail
