// when_all() and when_any(): run several tasks concurrently.
#pragma once

#include <array>
#include <coroutine>
#include <cstddef>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "event/co/timeout.hpp"

namespace event_cpp::co {

namespace detail {

// So many tasks, each a chain of its own, that one wait is for.
class EVENT_API Branches : public Owner {
 public:
  enum class Until : std::uint8_t { all, any };
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  Branches(Until until, Wait& wait) noexcept : wait_(wait), until_(until) {}

  // Branch i has ended.
  void branch_ended(std::size_t i) noexcept;
  // All are started. Returns false if none is left.
  bool all_started() noexcept;
  void cancel_all() noexcept;

  // The first one that decided: that ended, or for `all` that failed.
  std::size_t first() const noexcept { return first_; }

 protected:
  ~Branches() = default;
  void set_chains(Chain* chains, std::size_t count) noexcept {
    chains_ = chains;
    left_ = count_ = count;
  }

 private:
  void* ended(Chain& chain) noexcept override;

  Chain* chains_ = nullptr;
  Wait& wait_;
  std::size_t count_ = 0;
  std::size_t left_ = 0;  // that have not ended
  std::size_t first_ = kNone;
  Until until_;
  bool starting_ = true;
};

template <class... T>
class BranchesOf final : public Branches, public Pooled {
 public:
  BranchesOf(Until until, Wait& wait, Chain& outer, std::tuple<Coroutine<T>...>& coroutines)
      : BranchesOf(until, wait, outer, coroutines, std::index_sequence_for<T...>()) {}
  ~BranchesOf() {
    for (const Chain& chain : chains) {
      if (chain.away) terminate_away();
    }
  }

  bool start(Chain& outer) {
    start_each(outer, std::index_sequence_for<T...>());
    return all_started();
  }

  std::array<Chain, sizeof...(T)> chains;

 private:
  template <std::size_t... I>
  BranchesOf(Until until, Wait& wait, Chain& outer, std::tuple<Coroutine<T>...>& coroutines,
             std::index_sequence<I...>)
      : Branches(until, wait),
        chains{((void)I, Chain(*this, *outer.scheduler))...},
        coroutines_(coroutines) {
    for (Chain& chain : chains) chain.cancelled = outer.cancelled;
    set_chains(chains.data(), chains.size());
  }

  template <std::size_t... I>
  void start_each(Chain& outer, std::index_sequence<I...>) {
    (start_one(outer, std::get<I>(coroutines_), I), ...);
  }
  template <class U>
  void start_one(Chain& outer, Coroutine<U>& coroutine, std::size_t i) {
    chains[i].budget = outer.budget;
    if (coroutine.start(chains[i], Scheduler::end_of(chains[i]))) return;
    outer.budget = chains[i].budget;
    branch_ended(i);
  }

  std::tuple<Coroutine<T>...>& coroutines_;
};

// Of when_all() and when_any().
template <Branches::Until kUntil, class... T>
class BranchesWait : public Wait {
 public:
  BranchesWait(unsigned line, Task<T>... tasks) noexcept  // NOLINT(google-explicit-constructor)
      : Wait(line), coroutines_(std::move(tasks).release()...) {}
  BranchesWait(BranchesWait&&) noexcept = default;

  template <TaskPromise P>
  bool await_suspend(std::coroutine_handle<P> task) {
    Chain& outer = task.promise().chain();
    branches_ = std::make_unique<BranchesOf<T...>>(kUntil, *this, outer, coroutines_);
    begin(outer, task.address());  // first: what is started may cancel the task that waits here
    if (branches_->start(outer)) return true;
    finish();
    return false;
  }

  // Of Operation.
  void cancel() noexcept override { branches_->cancel_all(); }
  Waiting waiting() const noexcept override {
    return describe(kUntil == Branches::Until::all ? "when_all" : "when_any");
  }
  void for_each_branch(void (*visit)(void*, const Chain&), void* context) const override {
    for (const Chain& chain : branches_->chains) {
      if (chain.pending != nullptr || chain.linked()) visit(context, chain);
    }
  }

 protected:
  ~BranchesWait() {
    std::apply([](auto&... coroutine) { (coroutine.reset(), ...); }, coroutines_);
  }

  // Throws what the task of the first branch threw, if it did.
  void throw_first() {
    const std::size_t first = branches_->first();
    if (first == Branches::kNone) return;
    const std::exception_ptr& error = branches_->chains[first].error;
    if (error != nullptr) std::rethrow_exception(error);
  }

  std::tuple<Coroutine<T>...> coroutines_;
  std::unique_ptr<BranchesOf<T...>> branches_;

 private:
  void withdraw() noexcept override {}
};

template <class... T>
class WhenAll final : public BranchesWait<Branches::Until::all, T...> {
 public:
  using BranchesWait<Branches::Until::all, T...>::BranchesWait;
  std::tuple<Value<T>...> await_resume() { return results(std::index_sequence_for<T...>()); }

 private:
  template <std::size_t... I>
  std::tuple<Value<T>...> results(std::index_sequence<I...>) {
    this->throw_first();
    return {take<Value<T>>(std::get<I>(this->coroutines_).promise())...};
  }
};

}  // namespace detail

// The result of when_any(): the index of the task that ended first, and the values of all tasks
// that ended without an exception.
template <class... T>
struct Any {
  std::size_t first = 0;
  std::tuple<std::optional<Value<T>>...> values;
};

namespace detail {

template <class... T>
class WhenAny final : public BranchesWait<Branches::Until::any, T...> {
 public:
  using BranchesWait<Branches::Until::any, T...>::BranchesWait;
  Any<T...> await_resume() { return results(std::index_sequence_for<T...>()); }

 private:
  template <std::size_t... I>
  Any<T...> results(std::index_sequence<I...>) {
    this->throw_first();
    Any<T...> any{this->branches_->first(), {}};
    (take_value(std::get<I>(any.values), std::get<I>(this->coroutines_).promise()), ...);
    return any;
  }
  template <class U>
  void take_value(std::optional<Value<U>>& value, Promise<U>& promise) {
    const std::exception_ptr& error = promise.chain().error;
    if (error == nullptr) {
      value.emplace(take<Value<U>>(promise));
    } else if (!is_cancellation(error)) {
      std::rethrow_exception(error);
    }
  }
};

template <template <class...> class Branched, Awaitable... A>
Branched<Awaited<A>...> await_branches(unsigned line, A&&... awaitables) {
  return {line, as_task(std::forward<A>(awaitables))...};
}

static_assert(sizeof(void*) != 8 || sizeof(WhenAll<int, int>) <= 48);
static_assert(sizeof(void*) != 8 || sizeof(WhenAny<int, int>) <= 48);

}  // namespace detail

// Both functions take tasks or other awaitables, start all of them in order, and return when all
// have ended, including those that were cancelled. If the awaiting task is cancelled, so are all of
// them. Errors: also std::bad_alloc. Cost: one more block of memory, which is reused.

// Returns a tuple of the values, std::monostate for a Task<void>. If a task fails, the others are
// cancelled, and its exception is thrown when all have ended. Without tasks it returns at once.
template <detail::Awaitable... A>
requires(sizeof...(A) == 0 || sizeof...(A) > 4)
[[nodiscard]] auto when_all(A&&... awaitables) {
  return detail::await_branches<detail::WhenAll>(0U, std::forward<A>(awaitables)...);
}

// The same with the line for dump(), as a default argument cannot follow a pack.
template <detail::Awaitable A>
[[nodiscard]] auto when_all(A&& a, unsigned line = __builtin_LINE()) {
  return detail::await_branches<detail::WhenAll>(line, std::forward<A>(a));
}
template <detail::Awaitable A, detail::Awaitable B>
[[nodiscard]] auto when_all(A&& a, B&& b, unsigned line = __builtin_LINE()) {
  return detail::await_branches<detail::WhenAll>(line, std::forward<A>(a), std::forward<B>(b));
}
template <detail::Awaitable A, detail::Awaitable B, detail::Awaitable C>
[[nodiscard]] auto when_all(A&& a, B&& b, C&& c, unsigned line = __builtin_LINE()) {
  return detail::await_branches<detail::WhenAll>(line, std::forward<A>(a), std::forward<B>(b),
                                                 std::forward<C>(c));
}
template <detail::Awaitable A, detail::Awaitable B, detail::Awaitable C, detail::Awaitable D>
[[nodiscard]] auto when_all(A&& a, B&& b, C&& c, D&& d, unsigned line = __builtin_LINE()) {
  return detail::await_branches<detail::WhenAll>(line, std::forward<A>(a), std::forward<B>(b),
                                                 std::forward<C>(c), std::forward<D>(d));
}

// When one task has ended, cancels the others. Returns an Any; more than one task may have a value.
// Throws the exception of the task that ended first, if it failed; otherwise that of another task
// that failed for a reason other than cancellation.
template <detail::Awaitable... A>
requires(sizeof...(A) > 4)
[[nodiscard]] auto when_any(A&&... awaitables) {
  return detail::await_branches<detail::WhenAny>(0U, std::forward<A>(awaitables)...);
}

// The same with the line for dump().
template <detail::Awaitable A>
[[nodiscard]] auto when_any(A&& a, unsigned line = __builtin_LINE()) {
  return detail::await_branches<detail::WhenAny>(line, std::forward<A>(a));
}
template <detail::Awaitable A, detail::Awaitable B>
[[nodiscard]] auto when_any(A&& a, B&& b, unsigned line = __builtin_LINE()) {
  return detail::await_branches<detail::WhenAny>(line, std::forward<A>(a), std::forward<B>(b));
}
template <detail::Awaitable A, detail::Awaitable B, detail::Awaitable C>
[[nodiscard]] auto when_any(A&& a, B&& b, C&& c, unsigned line = __builtin_LINE()) {
  return detail::await_branches<detail::WhenAny>(line, std::forward<A>(a), std::forward<B>(b),
                                                 std::forward<C>(c));
}
template <detail::Awaitable A, detail::Awaitable B, detail::Awaitable C, detail::Awaitable D>
[[nodiscard]] auto when_any(A&& a, B&& b, C&& c, D&& d, unsigned line = __builtin_LINE()) {
  return detail::await_branches<detail::WhenAny>(line, std::forward<A>(a), std::forward<B>(b),
                                                 std::forward<C>(c), std::forward<D>(d));
}

}  // namespace event_cpp::co
