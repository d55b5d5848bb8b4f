// A callback in the place of a task that waits.
#pragma once

#include <functional>
#include <utility>

#include "event/net/detail/stream_ops.hpp"

namespace event_cpp::net::detail {

// It is called again while trying makes sense. S is what it waits for.
template <class S>
class CallbackWaiter final : public Waiter {
 public:
  CallbackWaiter(S& stream, Want want, std::function<void()> f)
      : stream_(stream), want_(want), f_(std::move(f)) {}

  // The callback may replace this, and destroy the stream.
  void ready() override {
    struct AtTheEnd {
      CallbackWaiter& self;
      ~AtTheEnd() { self.called(); }
    } const at_the_end{*this};
    running_ = true;
    f_();
  }

  void dropped() noexcept override {
    if (running_) {
      gone_ = true;
    } else {
      delete this;
    }
  }

 private:
  void called() noexcept {
    running_ = false;
    if (gone_) {
      delete this;
    } else {
      stream_.wait(want_, *this);
    }
  }

  S& stream_;
  Want want_;
  std::function<void()> f_;
  bool running_ = false;
  bool gone_ = false;
};

// Puts f in the place of what waits; empty: nothing. What waited may own the stream, so it is
// dropped last. Errors: throws std::bad_alloc.
template <class S>
void set_callback(S& stream, Want want, std::function<void()> f) {
  auto* const callback = f != nullptr ? new CallbackWaiter<S>(stream, want, std::move(f)) : nullptr;
  Waiter* const before = stream.unwait(want);
  if (callback != nullptr) stream.wait(want, *callback);
  if (before != nullptr) before->dropped();
}

}  // namespace event_cpp::net::detail
