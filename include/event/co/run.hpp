// run(): runs a task to its end, from main() or a test.
#pragma once

#include <utility>

#include "event/co/detail/awaitable.hpp"
#include "event/co/task.hpp"

namespace event_cpp::co {

namespace detail {

// The task that run() runs.
class EVENT_API Root final : private Owner {
 public:
  explicit Root(Base& base);
  ~Root();
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;

  Chain& chain() noexcept { return chain_; }
  // Runs the base until the task has ended.
  void wait();

 private:
  void* ended(Chain& chain) noexcept override;

  Base& base_;
  Chain chain_;
  bool ended_ = false;
};

}  // namespace detail

// Starts the task and runs the base until the task has ended. Returns its value or throws its
// exception. Other events and tasks of the base run meanwhile; they stay attached when this
// returns.
//
// If this throws one of the following, the task was destroyed while it waited:
//   - Errc::reentered: called in a callback or a task of the same base, and the task has to wait
//   - Errc::deadlock: the task has not ended, and nothing is left that could wake it
//   - std::errc::operation_canceled: Base::stop() or stop_now() was called
//   - what Base::dispatch() throws; the result of a task that had ended by then is lost
// Errors: also std::bad_alloc.
template <class T>
T run(Base& base, Task<T> task) {
  detail::Root root(base);
  auto coroutine = std::move(task).release();
  if (coroutine.start(root.chain(), detail::Scheduler::end_of(root.chain()))) root.wait();
  return coroutine.promise().take();
}
// The same for another awaitable.
template <detail::Awaitable A>
detail::Awaited<A> run(Base& base, A&& awaitable) {
  return run(base, detail::as_task(std::forward<A>(awaitable)));
}

}  // namespace event_cpp::co
