// Concepts for awaitables, and their conversion to tasks.
#pragma once

#include <concepts>
#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "event/co/task.hpp"

namespace event_cpp::co {

// The type of a task's value in tuples and optionals: T, or std::monostate for void.
template <class T>
using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

}  // namespace event_cpp::co

namespace event_cpp::co::detail {

template <class A>
concept Awaiter = requires(A& awaiter) {
  { awaiter.await_ready() } -> std::convertible_to<bool>;
  awaiter.await_resume();
};
template <class A>
concept HasAwaiter = requires(A&& awaitable) {
  { std::forward<A>(awaitable).operator co_await() } -> Awaiter;
};
// An awaitable that is passed as an rvalue, as in co_await f().
template <class A>
concept Awaitable = !std::is_lvalue_reference_v<A> && (Awaiter<A> || HasAwaiter<A>);

template <class A>
struct ResultOf {
  using Type = decltype(std::declval<A&>().await_resume());
};
template <HasAwaiter A>
struct ResultOf<A> {
  using Type = decltype(std::declval<A>().operator co_await().await_resume());
};
// The type of a co_await expression for it.
template <class A>
using Awaited = typename ResultOf<A>::Type;

template <class T>
Task<T> as_task(Task<T>&& task) noexcept {
  return std::move(task);
}
template <Awaitable A>
Task<Awaited<A>> as_task(A awaitable) {
  if constexpr (std::is_void_v<Awaited<A>>) {
    co_await std::move(awaitable);
  } else {
    co_return co_await std::move(awaitable);
  }
}

// The result of a task as an R: its value, an optional that holds it, or std::monostate.
template <class R, class T>
R take(Promise<T>& promise) {
  if constexpr (std::is_void_v<T> && !std::is_void_v<R>) {
    promise.take();
    return R(std::monostate());
  } else {
    return promise.take();
  }
}

}  // namespace event_cpp::co::detail
