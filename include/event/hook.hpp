// Hook: a function that the loop calls each time round.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "event/detail/callable.hpp"
#include "event/detail/export.hpp"

namespace event_cpp {

class Base;

namespace detail {
class Hooks;
}  // namespace detail

// Attached from construction until destruction, which may happen in its own callback or another's.
// Hooks of a kind run in the order in which they were made; one that is made by a hook runs from
// the next time on. An exception leaves dispatch().
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: base and hook may go in either
// order. Cost: a test of a pointer per iteration where there are none.
class EVENT_API Hook {
 public:
  enum class When : std::uint8_t {
    before_wait,  // before an iteration asks the kernel: what is attached or posted here counts
    after_wait,   // after it has, and before the first callback: what is due is already active
    // When an iteration finds nothing to run, of any priority. While there is such a hook the base
    // does not sleep, and dispatch() does not return for want of events. These count as callbacks,
    // of low priority: for RunMode::once, and in what dispatch() returns.
    idle
  };

  // `callback` is f(Hook&) or f(). Errors: throws std::bad_alloc, or what copying it throws.
  template <class F>
  requires std::is_invocable_v < std::decay_t<F>
  &,
      Hook& > || std::is_invocable_v<std::decay_t<F>&> Hook(Base& base, When when, F&& callback)
      : ops_(&kOps<std::decay_t<F>>),
  when_(when) {
    detail::Stored<std::decay_t<F>>::create(callable_, std::forward<F>(callback));
    link(base);
  }
  ~Hook() {
    unlink();
    if (ops_->destroy != nullptr) ops_->destroy(callable_);
  }
  Hook(const Hook&) = delete;
  Hook& operator=(const Hook&) = delete;

  When when() const noexcept { return when_; }

 private:
  friend class detail::Hooks;

  struct Ops {
    void (*call)(Hook&);
    void (*destroy)(detail::Storage&) noexcept;  // null: nothing to destroy
  };

  template <class F>
  static void call(Hook& hook) {
    F& callback = detail::Stored<F>::get(hook.callable_);
    if constexpr (std::is_invocable_v<F&, Hook&>) {
      callback(hook);
    } else {
      callback();
    }
  }

  template <class F>
  static constexpr Ops kOps{&call<F>,
                            detail::Stored<F>::kTrivial ? nullptr : &detail::Stored<F>::destroy};

  void link(Base& base) noexcept;
  void unlink() noexcept;

  const Ops* ops_;
  detail::Storage callable_;
  detail::Hooks* hooks_ = nullptr;  // where it is linked; null once the base is gone
  Hook* previous_ = nullptr;
  Hook* next_ = nullptr;
  std::uint32_t since_ = 0;  // the pass in which it was made
  When when_;
};

}  // namespace event_cpp
