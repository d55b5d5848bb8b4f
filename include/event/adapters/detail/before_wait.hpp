// BeforeWait: a function that is called once before the base waits.
#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "event/base.hpp"
#include "event/event_class.hpp"
#include "event/hook.hpp"

namespace event_cpp::adapters::detail {

// To send what the callbacks of an iteration have collected with one system call. Until the
// function was called the base has work, so that it does not sleep, also inside another loop.
class BeforeWait {
 public:
  BeforeWait(Base& base, std::function<void()> f)
      : base_(base), f_(std::move(f)), work_(base, -1, Events::none, [this] { call(); }) {}

  // Errors: throws std::bad_alloc.
  void request() {
    if (hook_) return;
    hook_.emplace(base_, Hook::When::before_wait, [this] { call(); });
    work_.activate(Events::timeout);
  }
  void cancel() noexcept {
    hook_.reset();
    work_.detach();
  }

 private:
  void call() {
    cancel();
    f_();
  }

  Base& base_;
  const std::function<void()> f_;
  std::optional<Hook> hook_;
  Event work_;
};

}  // namespace event_cpp::adapters::detail
