// Hook: a function that the loop calls in every iteration.
#pragma once

#include <cstdint>
#include <utility>

#include "event/detail/callable.hpp"
#include "event/detail/callback.hpp"
#include "event/detail/export.hpp"

namespace event_cpp {

class Base;

namespace detail {
class Hooks;
}  // namespace detail

// Calls a function in every iteration of a base, from construction until destruction. It may be
// destroyed in any callback, its own too. Hooks of one kind run in the order in which they were
// made. A hook that is made in a hook of the same kind runs from the next iteration on. An
// exception of the function leaves dispatch().
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: base and hook may be destroyed
// in either order. Cost: one pointer test per iteration if there are no hooks.
class EVENT_API Hook {
 public:
  // Any other value counts as before_wait.
  enum class When : std::uint8_t {
    before_wait,  // before polling the kernel; events attached and functions posted here count
    after_wait,   // after the poll, when ready events are active, before the first callback
    // In every iteration that has nothing else to run. Dangerous: while such a hook exists the base
    // busy-loops, and dispatch() does not return even if no event is attached. Each call counts as
    // a callback of low priority, for RunMode::once and in the result of dispatch().
    idle
  };

  // `callback` is f(Hook&, Events), f(Hook&), f(Events) or f(); the events are Events::none.
  // Errors: throws std::bad_alloc, or what copying the callback throws.
  template <detail::CallbackOf<Hook> F>
  [[nodiscard("a hook is attached while it lives")]] Hook(Base& base, When when, F&& callback)
      : callback_([f = std::decay_t<F>(std::forward<F>(callback))](Hook& hook) mutable {
          detail::call_back(f, hook, Events::none);
        }),
        when_(when <= When::idle ? when : When::before_wait) {
    link(base);
  }
  ~Hook() { unlink(); }
  Hook(const Hook&) = delete;
  Hook& operator=(const Hook&) = delete;

  When when() const noexcept { return when_; }

 private:
  friend class detail::Hooks;

  void link(Base& base) noexcept;
  void unlink() noexcept;

  detail::Callable<Hook&> callback_;
  detail::Hooks* hooks_ = nullptr;  // where it is linked; null once the base is gone
  Hook* previous_ = nullptr;
  Hook* next_ = nullptr;
  std::uint32_t since_ = 0;  // the pass in which it was made
  When when_;
};

}  // namespace event_cpp
