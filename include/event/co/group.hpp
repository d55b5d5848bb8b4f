// TaskGroup: owns tasks that run concurrently.
#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include "event/co/detail/awaitable.hpp"
#include "event/co/task.hpp"

namespace event_cpp::co {

namespace detail {

// A task of a group.
struct Child final : Pooled {
  Child(Owner& owner, Scheduler& scheduler, Coroutine<void> its_coroutine) noexcept
      : chain(owner, scheduler), coroutine(std::move(its_coroutine)) {}

  static Child& of(Chain& chain) noexcept { return reinterpret_cast<Child&>(chain); }

  Chain chain;  // first: a chain is converted to the child that it is part of
  Coroutine<void> coroutine;
  Child* previous = nullptr;
  Child* next = nullptr;
};

template <class T>
inline constexpr bool kIsTask = false;
template <class T>
inline constexpr bool kIsTask<Task<T>> = true;

template <class F, class... Args>
concept TaskFunction =
    std::is_invocable_v<F&, Args...> && kIsTask<std::invoke_result_t<F&, Args...>>;

// Keeps f and its arguments as long as the task runs that f(args...) returns.
template <class F, class... Args>
Task<> keep(F f, Args... args) {
  auto task = std::invoke(f, std::move(args)...);
  static_cast<void>(co_await std::move(task));
}

template <class A>
Task<> drop_value(A awaitable) {
  static_cast<void>(co_await std::move(awaitable));
}

}  // namespace detail

// Runs tasks concurrently on one base, and owns them. Destroying the group destroys tasks that have
// not ended. Every running task has an owner: a group, a task that awaits it, or run().
//
//   co::TaskGroup group(base);
//   group.spawn(serve(connection));
//   co_await group.join();
//
// If a task throws an exception:
//   - Without `on_failure` the first exception cancels the other tasks of the group, and join()
//     throws it. If no task waits in join() in the next iteration, the exception leaves dispatch();
//     a later join() throws it again.
//   - With `on_failure` the other tasks are not affected. on_failure(exception) is called in the
//     next iteration. It may spawn a new task, or destroy the group. An exception that it throws
//     leaves dispatch(). If the group is destroyed before the call, the task's exception
//     leaves dispatch() instead.
//   - std::errc::operation_canceled of a cancelled task is not a failure.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: the group and the base may be
// destroyed in either order. The first of them to go destroys the waiting tasks, in the order in
// which they were spawned. A group must not be destroyed by one of its tasks, which debug builds
// assert, nor while one of them is on another base (see resume_on()), which ends the program. But a
// parameter of a task that is passed to spawn() may own the group: it is destroyed after the task.
// It must not own a task that is in join() of this group.
class EVENT_API TaskGroup final : private detail::Owner {
 public:
  // `on_failure` is called for each task that fails: see above. With it join() throws no failure.
  // `name` is for dump(); the string must outlive the group. Errors: throws std::bad_alloc.
  explicit TaskGroup(Base& base, const char* name = "")
      : TaskGroup(base, std::function<void(std::exception_ptr)>(), name) {}
  TaskGroup(Base& base, std::function<void(std::exception_ptr)> on_failure, const char* name = "");
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Starts a task, which runs until its first wait before this returns. An exception that it throws
  // before that is reported like any other, and not thrown here. If the group is cancelled, the
  // task starts cancelled. While the group or its base is being destroyed, the task is destroyed
  // instead of started. Errors: throws std::bad_alloc, and the task is destroyed;
  // std::system_error, std::errc::invalid_argument, for a moved-from task. Cost: two blocks of
  // memory, which are reused.
  void spawn(Task<> task);

  // The same for a task with a value, which is dropped, or another awaitable. Cost: another frame.
  template <detail::Awaitable A>
  requires(!std::same_as<A, Task<>>)
  void spawn(A&& awaitable) {
    spawn(detail::drop_value(std::forward<A>(awaitable)));
  }

  // The same for the task that f(args...) returns. The group keeps `f` and `args` as long as the
  // task exists, so f may be a lambda with captures.
  template <class F, class... Args>
  requires detail::TaskFunction<F, Args...>
  void spawn(F f, Args... args) {
    spawn(detail::keep(std::move(f), std::move(args)...));
  }

  // Cancels all tasks of the group. Each of their waits fails with std::errc::operation_canceled,
  // in the next iteration or later, never inside this call. The group stays cancelled until join()
  // has returned: tasks that are spawned before that start cancelled. Does nothing if the group has
  // no tasks. See "Cancellation" in docs/coroutines.md.
  void cancel() noexcept;

  // co_await: waits until all tasks have ended. Then throws the first failure, unless join() has
  // thrown it before. If the awaiting task is cancelled, it cancels the group, waits until all
  // tasks have ended, and throws std::errc::operation_canceled. If the group is destroyed first,
  // the awaiting task resumes in the next iteration and throws the same. Errors:
  // std::errc::device_or_resource_busy if another task is in join().
  class Join;
  [[nodiscard]] Join join(unsigned line = __builtin_LINE()) noexcept;

  // co_await: waits until the group has fewer than `count` tasks; spawning one more then keeps the
  // limit of `count`. A task that on_failure spawns takes the room of the one that failed. The
  // awaiting task resumes in the next iteration: if others may spawn until then, it has to await
  // room() again while size() is not below `count`. Cancelling it does not cancel the group.
  // Errors: std::errc::operation_canceled; std::errc::device_or_resource_busy if another task is in
  // room(); std::errc::invalid_argument for a count of 0.
  class Room;
  [[nodiscard]] Room room(std::size_t count, unsigned line = __builtin_LINE()) noexcept;

  // The number of tasks that have not ended.
  std::size_t size() const noexcept { return size_; }

  const char* name() const noexcept { return name_; }

 private:
  friend class detail::Scheduler;
  template <class F>
  friend void for_each_group(Base& base, F&& f);
  template <class F>
  friend void for_each_wait(const TaskGroup& group, F&& f);

  struct InList : detail::Link {
    explicit InList(TaskGroup& its_group) noexcept : group(its_group) {}
    TaskGroup& group;
  };

  class Watch;

  void* ended(detail::Chain& chain) noexcept override;
  std::exception_ptr report(detail::Chain& chain) noexcept override;
  bool ends_join() const noexcept;
  void wake_room() noexcept;
  bool failed(detail::Child& child) noexcept;
  bool leaves_dispatch(const detail::Child& child) noexcept;
  void reap(detail::Child& child) noexcept;
  void drop_all() noexcept;
  // The scheduler, and so the base, is being destroyed.
  void abandon() noexcept;

  detail::Scheduler* scheduler_;  // null: the base is gone
  InList in_list_;
  detail::Child* first_ = nullptr;
  detail::Child* last_ = nullptr;
  std::size_t size_ = 0;
  Join* join_ = nullptr;      // who waits
  Room* room_ = nullptr;      // who waits for fewer tasks
  std::exception_ptr error_;  // the first failure, until join() throws it
  std::shared_ptr<const std::function<void(std::exception_ptr)>> on_failure_;
  bool* destroyed_ = nullptr;  // of the innermost Watch: told by the destructor
  const char* name_;
  bool cancelled_ = false;
  bool reported_ = false;  // error_ has left dispatch()
  bool closing_;           // this or the base is being destroyed
};

class TaskGroup::Join final : public detail::Wait {
 public:
  Join(Join&&) noexcept = default;
  ~Join() {
    if (registered_) group_->join_ = nullptr;
  }

  bool await_ready() const noexcept { return false; }
  template <detail::TaskPromise P>
  bool await_suspend(std::coroutine_handle<P> task) {
    return wait(task.promise().chain(), task.address());
  }
  void await_resume();

  // Of Operation.
  void cancel() noexcept override;
  Waiting waiting() const noexcept override { return describe("join"); }

 private:
  friend class TaskGroup;
  Join(TaskGroup& group, unsigned line) noexcept : Wait(line), group_(&group) {}
  bool wait(detail::Chain& chain, void* frame);
  void group_is_gone() noexcept;
  void take_result() noexcept;
  void withdraw() noexcept override {}

  bool registered_ = false;  // with the group, which may be gone if it is not
  bool was_cancelled_ = false;
  TaskGroup* group_;          // null: the result was taken
  std::exception_ptr error_;  // the first failure
};

static_assert(sizeof(void*) != 8 || sizeof(TaskGroup::Join) <= 48);

class TaskGroup::Room final : public detail::Wait {
 public:
  Room(Room&&) noexcept = default;
  ~Room() {
    if (registered_) group_->room_ = nullptr;
  }

  bool await_ready() const noexcept { return false; }
  template <detail::TaskPromise P>
  bool await_suspend(std::coroutine_handle<P> task) {
    return wait(task.promise().chain(), task.address());
  }
  void await_resume() const {
    throw_if_cancelled();
    if (refused_) detail::throw_cancelled();
  }
  Waiting waiting() const noexcept override { return describe("room"); }

 private:
  friend class TaskGroup;
  Room(TaskGroup& group, std::size_t count, unsigned line) noexcept
      : Wait(line), group_(&group), count_(count) {}
  bool wait(detail::Chain& chain, void* frame);
  // There is room, or none any more as the group is gone.
  void end(bool refused) noexcept {
    registered_ = false;
    refused_ = refused;
    wake();
  }
  void withdraw() noexcept override {
    registered_ = false;
    group_->room_ = nullptr;
  }

  bool registered_ = false;  // with the group, which may be gone if it is not
  bool refused_ = false;
  TaskGroup* group_;
  std::size_t count_;
};

static_assert(sizeof(void*) != 8 || sizeof(TaskGroup::Room) <= 48);

inline TaskGroup::Room TaskGroup::room(std::size_t count, unsigned line) noexcept {
  return Room(*this, count, line);
}

inline TaskGroup::Join TaskGroup::join(unsigned line) noexcept { return Join(*this, line); }

}  // namespace event_cpp::co
