// Task: the return type of coroutines.
#pragma once

#include <cassert>
#include <concepts>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "event/co/detail/chain.hpp"
#include "event/co/detail/frame_pool.hpp"

namespace event_cpp::co {

template <class T = void>
class Task;

namespace detail {

[[noreturn]] EVENT_API void throw_no_task();

// What the promises of all tasks share.
class PromiseBase : public Pooled {
 public:
  // Tells whoever awaits the task that it has ended, if it has not ended while it was started.
  struct End {
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      const PromiseBase& promise = self.promise();
      if (promise.next_ != 0) promise.chain_->scheduler->ended(promise.next_);
    }
    void await_resume() const noexcept {}
  };

  std::suspend_always initial_suspend() const noexcept { return {}; }
  End final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { chain_->error = std::current_exception(); }

  Chain& chain() const noexcept { return *chain_; }

  // Runs the task to its first wait, as a part of `chain`. Returns false if it has ended; else
  // `next` is what goes on when it ends.
  bool start(std::coroutine_handle<> self, Chain& chain, std::uintptr_t next) {
    chain_ = &chain;
    self.resume();
    if (self.done()) return false;
    next_ = next;
    return true;
  }

 protected:
  void rethrow() const {
    if (chain_->error != nullptr) std::rethrow_exception(std::exchange(chain_->error, nullptr));
  }

 private:
  std::uintptr_t next_ =
      0;  // who goes on at the end: see Scheduler::ended(); 0 while it is started
  Chain* chain_ = nullptr;
};

template <class T>
class Promise : public PromiseBase {
 public:
  Task<T> get_return_object() noexcept;
  template <class U = T>
  requires std::constructible_from<T, U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() {
    rethrow();
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

template <class T>
class Promise<T&> : public PromiseBase {
 public:
  Task<T&> get_return_object() noexcept;
  void return_value(T& value) noexcept { value_ = &value; }
  T& take() {
    rethrow();
    return *value_;
  }

 private:
  T* value_ = nullptr;
};

template <>
class Promise<void> : public PromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const { rethrow(); }
};

template <class P>
concept TaskPromise = std::derived_from<P, PromiseBase>;

// A started or unstarted coroutine of type Task<T>, owned.
template <class T>
class Coroutine {
 public:
  using Handle = std::coroutine_handle<Promise<T>>;

  explicit Coroutine(Handle handle = {}) noexcept : handle_(handle) {}
  Coroutine(Coroutine&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Coroutine& operator=(Coroutine&&) = delete;
  ~Coroutine() { reset(); }

  void reset() noexcept {
    if (const Handle handle = std::exchange(handle_, {})) handle.destroy();
  }
  explicit operator bool() const noexcept { return handle_ != nullptr; }
  Promise<T>& promise() const noexcept { return handle_.promise(); }

  // Errors: throws std::system_error, std::errc::invalid_argument, if there is none.
  bool start(Chain& chain, std::uintptr_t next) {
    if (!handle_) [[unlikely]]
      throw_no_task();
    return promise().start(handle_, chain, next);
  }

 private:
  Handle handle_;
};

}  // namespace detail

// A coroutine that returns a T. It is lazy: it starts when it is awaited, or given to a TaskGroup
// or to run(). It can be awaited once: `co_await f()`, or `co_await std::move(task)`. Awaiting
// starts it like a function call: it runs at once, and the caller is suspended only if the task has
// to wait. The co_await returns the value of the task, or throws its exception.
//
//   co::Task<int> twice(int n) {
//     co_await co::sleep(1s);
//     co_return 2 * n;
//   }
//
// The coroutine frame holds the parameters. It does not hold what a reference or a view refers to,
// nor the captures of a lambda: these must outlive the task. TaskGroup::spawn() can keep a lambda.
//
// Thread-safety: belongs to one base and its thread, until resume_on(). Lifetime: destroying a
// waiting task cancels its wait and destroys its frame, after the frames of the tasks that it
// awaits. A task must not be destroyed while it runs, which a TaskGroup asserts in debug builds.
// Cost: one block of memory, which is reused; a nested task uses stack until its first wait, as a
// call does. Errors: awaiting a moved-from task throws std::system_error,
// std::errc::invalid_argument.
template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;

  Task(Task&&) noexcept = default;
  Task& operator=(Task&&) = delete;

  class Awaiter {
   public:
    explicit Awaiter(detail::Coroutine<T> coroutine) noexcept : coroutine_(std::move(coroutine)) {}
    bool await_ready() const noexcept { return false; }
    template <detail::TaskPromise P>
    bool await_suspend(std::coroutine_handle<P> awaiting) {
      return coroutine_.start(awaiting.promise().chain(),
                              reinterpret_cast<std::uintptr_t>(awaiting.address()));
    }
    T await_resume() { return coroutine_.promise().take(); }

   private:
    detail::Coroutine<T> coroutine_;
  };
  Awaiter operator co_await() && noexcept { return Awaiter(std::move(coroutine_)); }
  // The compiler shows this line for `co_await task` of a task with a name.
  Awaiter operator co_await() const& = delete;  // awaited once: co_await std::move(task)

  // For the library's own use: takes the coroutine out.
  detail::Coroutine<T> release() && noexcept { return std::move(coroutine_); }

 private:
  friend promise_type;
  explicit Task(typename detail::Coroutine<T>::Handle handle) noexcept : coroutine_(handle) {}

  detail::Coroutine<T> coroutine_;
};

namespace detail {

template <class T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
template <class T>
Task<T&> Promise<T&>::get_return_object() noexcept {
  return Task<T&>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}

static_assert(sizeof(Task<>::Awaiter) == sizeof(void*));

}  // namespace detail
}  // namespace event_cpp::co
