// with_timeout(), try_with_timeout(), shield(): tasks that are cancelled separately.
#pragma once

#include <coroutine>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "event/co/detail/awaitable.hpp"
#include "event/co/wait.hpp"

namespace event_cpp::co {

namespace detail {

// Runs one task as a chain of its own, so that it can be cancelled by itself.
class EVENT_API Scope final : public Owner, public Pooled {
 public:
  Scope(Chain& outer, Wait& wait, bool shielded) noexcept;
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  // Cancels the task when `limit` has passed. Errors: throws std::system_error, ENOMEM.
  void set_limit(Duration limit);
  void clear_limit() noexcept;
  bool timed_out() const noexcept { return timed_out_; }
  Chain& chain() noexcept { return chain_; }
  const Chain& chain() const noexcept { return chain_; }

 private:
  class Limit : public Event {
   public:
    Limit(Base& base, Scope& scope) noexcept
        : Event(base, -1, Events::timeout, Calls<&Limit::expire>()) {
      ::new (room()) Scope*(&scope);
    }

   private:
    static void expire(Event& event, Events fired);
  };

  void* ended(Chain& chain) noexcept override;

  Chain chain_;
  Wait& wait_;
  Limit limit_;
  bool timed_out_ = false;
};

[[noreturn]] EVENT_API void throw_timed_out();

enum class Scoped : std::uint8_t { timeout, try_timeout, shield };

template <class T, Scoped kKind>
class ScopeWait final : public Wait {
 public:
  using Result = std::conditional_t<kKind == Scoped::try_timeout, std::optional<Value<T>>, T>;

  ScopeWait(Task<T> task, Duration limit, unsigned line) noexcept
      : Wait(line), limit_(limit), coroutine_(std::move(task).release()) {}
  ScopeWait(ScopeWait&&) noexcept = default;
  ~ScopeWait() { coroutine_.reset(); }  // before the scope, whose chain it is

  template <TaskPromise P>
  bool await_suspend(std::coroutine_handle<P> task) {
    Chain& outer = task.promise().chain();
    scope_ = std::make_unique<Scope>(outer, *this, kKind == Scoped::shield);
    Chain& inner = scope_->chain();
    begin(outer, task.address());  // first: what is started may cancel the task that waits here
    if (outer.cancelled) cancel();
    if (!coroutine_.start(inner, Scheduler::end_of(inner))) {
      outer.budget = inner.budget;
      finish();
      return false;
    }
    if (kKind != Scoped::shield) scope_->set_limit(limit_);
    return true;
  }
  Result await_resume() {
    if constexpr (kKind != Scoped::shield) {
      scope_->clear_limit();
      if (expired()) {
        if constexpr (kKind == Scoped::timeout) throw_timed_out();
        if constexpr (kKind == Scoped::try_timeout) return std::nullopt;
      }
    }
    return take<Result>(coroutine_.promise());
  }

  // Of Operation.
  void cancel() noexcept override {
    if constexpr (kKind != Scoped::shield) {
      outer_cancelled_ = true;
      scope_->chain().cancel();
    }
  }
  Waiting waiting() const noexcept override {
    return describe(kKind == Scoped::shield ? "shield" : "with_timeout");
  }
  void for_each_branch(void (*visit)(void*, const Chain&), void* context) const override {
    visit(context, scope_->chain());
  }

 private:
  // The task's value wins over a timeout, and a cancellation from outside does.
  bool expired() const noexcept {
    const std::exception_ptr& error = scope_->chain().error;
    return scope_->timed_out() && !outer_cancelled_ && error != nullptr && is_cancellation(error);
  }
  void withdraw() noexcept override {}

  bool outer_cancelled_ = false;  // first: in the padding of Wait
  Duration limit_;
  std::unique_ptr<Scope> scope_;
  Coroutine<T> coroutine_;
};

static_assert(sizeof(void*) != 8 || sizeof(ScopeWait<int, Scoped::timeout>) <= 48);

}  // namespace detail

// Each of these takes a task or another awaitable.

// Runs the task, and cancels it when `limit` has passed, counted from now. Returns only when the
// task has ended. Returns its value, even if it came after the limit, or throws its exception;
// std::errc::timed_out replaces a std::errc::operation_canceled that the limit has caused. If
// `limit` is not positive, the task runs to its first wait. Errors: also ENOMEM, std::bad_alloc.
// Cost: one more block of memory, which is reused, and a timer.
template <detail::Awaitable A>
[[nodiscard]] auto with_timeout(AnyDuration limit, A&& awaitable,
                                unsigned line = __builtin_LINE()) {
  using T = detail::Awaited<A>;
  return detail::ScopeWait<T, detail::Scoped::timeout>(detail::as_task(std::forward<A>(awaitable)),
                                                       limit, line);
}

// The same, but returns std::nullopt instead of throwing std::errc::timed_out. For a Task<void> the
// result is a std::optional<std::monostate>. It waits as with_timeout() does. (In this library an
// awaited operation with a name in try_ waits, but does not throw the error that it returns. A
// function with a name in try_ that is not awaited, such as Stream::try_read(), never waits.)
template <detail::Awaitable A>
[[nodiscard]] auto try_with_timeout(AnyDuration limit, A&& awaitable,
                                    unsigned line = __builtin_LINE()) {
  using T = detail::Awaited<A>;
  return detail::ScopeWait<T, detail::Scoped::try_timeout>(
      detail::as_task(std::forward<A>(awaitable)), limit, line);
}

// Runs a task that is not cancelled when the awaiting task is. For clean-up that has to wait; give
// it a limit of its own: shield(with_timeout(1s, goodbye())). The cancellation takes effect at the
// next wait of the awaiting task.
template <detail::Awaitable A>
[[nodiscard]] auto shield(A&& awaitable, unsigned line = __builtin_LINE()) {
  using T = detail::Awaited<A>;
  return detail::ScopeWait<T, detail::Scoped::shield>(detail::as_task(std::forward<A>(awaitable)),
                                                      Duration::max(), line);
}

}  // namespace event_cpp::co
