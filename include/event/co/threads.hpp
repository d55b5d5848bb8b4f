// resume_on() and blocking(): tasks and other threads.
#pragma once

#include <concepts>
#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "event/co/task.hpp"

namespace event_cpp::co {

namespace detail {

class EVENT_API ResumeOn final : public Wait {
 public:
  ResumeOn(Base& to, unsigned line) noexcept : Wait(line), to_(to) {}
  ResumeOn(ResumeOn&&) noexcept = default;
  ~ResumeOn() = default;
  template <TaskPromise P>
  bool await_suspend(std::coroutine_handle<P> task) {
    return begin_move(task.promise().chain(), task.address());
  }
  void await_resume() const;
  Waiting waiting() const noexcept override { return describe("resume_on"); }

 private:
  friend class Away;
  bool begin_move(Chain& chain, void* frame);
  void withdraw() noexcept override {}

  Base& to_;
  bool failed_ = false;  // there was no memory for it
};

class BlockingWait;

// A function on its way through the thread pool.
class EVENT_API Job {
 public:
  Job() = default;
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  virtual ~Job() = default;

  virtual void run() noexcept = 0;  // in a thread of the pool

  // For the base's thread alone.
  Scheduler* scheduler = nullptr;
  BlockingWait* wait = nullptr;  // null: nobody waits any more
};

class EVENT_API BlockingWait : public Wait {
 public:
  Waiting waiting() const noexcept override { return describe("blocking"); }
  void job_ended() noexcept { resume(); }

 protected:
  using Wait::Wait;
  BlockingWait(BlockingWait&&) noexcept = default;
  ~BlockingWait();

  // Returns false if it ran at once.
  bool begin_job(Chain& chain, void* frame, std::shared_ptr<Job> job);

 private:
  void withdraw() noexcept override;

  std::shared_ptr<Job> job_;
};

template <class F>
class Blocking final : public BlockingWait {
 public:
  using R = std::invoke_result_t<F&>;

  Blocking(F f, unsigned line) : BlockingWait(line), f_(std::move(f)) {}
  Blocking(Blocking&& other) noexcept : BlockingWait(std::move(other)), f_(std::move(other.f_)) {}

  template <TaskPromise P>
  bool await_suspend(std::coroutine_handle<P> task) {
    auto job = std::make_shared<Call>(std::move(f_));
    call_ = job.get();
    return begin_job(task.promise().chain(), task.address(), std::move(job));
  }
  R await_resume() {
    throw_if_cancelled();
    return call_->take();
  }

 private:
  struct Call final : Job {
    explicit Call(F&& f) : function(std::move(f)) {}
    void run() noexcept override {
      try {
        if constexpr (std::is_void_v<R>) {
          function();
        } else if constexpr (std::is_lvalue_reference_v<R>) {
          result = std::addressof(function());
        } else {
          result.emplace(function());
        }
      } catch (...) {
        error = std::current_exception();
      }
    }
    R take() {
      if (error != nullptr) std::rethrow_exception(error);
      if constexpr (std::is_lvalue_reference_v<R>) {
        return *result;
      } else if constexpr (!std::is_void_v<R>) {
        return std::move(*result);
      }
    }

    F function;
    std::conditional_t<
        std::is_void_v<R>, char,
        std::conditional_t<std::is_lvalue_reference_v<R>, std::add_pointer_t<R>, std::optional<R>>>
        result{};
    std::exception_ptr error;
  };

  F f_;
  Call* call_ = nullptr;  // owned by the base class
};

static_assert(sizeof(void*) != 8 || sizeof(ResumeOn) <= 48);
static_assert(sizeof(void*) != 8 || sizeof(BlockingWait) <= 48);

}  // namespace detail

// Goes on in an iteration of another base, in the thread that runs it. The task still belongs to
// its group, which learns of its end or failure in the group's own thread. Does nothing if the task
// is on that base already.
//   - A task that is cancelled before it leaves stays, and throws std::errc::operation_canceled.
//   - If a task is cancelled while it is away, its wait there fails, and so do later ones; but it
//     can still return to its own base.
//
// Lifetime: the other base must run until the task has left it, or has ended. While the task is
// away, its own base does not leave dispatch(). Destroying the other base then ends the program
// (std::terminate), and so does destroying the group or whatever else owns the task: join() first.
// Errors: throws std::errc::operation_canceled, std::bad_alloc. Cost: an allocation for a task that
// leaves its own base, and a post.
[[nodiscard]] inline detail::ResumeOn resume_on(Base& to,
                                                unsigned line = __builtin_LINE()) noexcept {
  return {to, line};
}

// Calls f() in another thread, and goes on here with its result or its exception. For what blocks:
// files, name resolution, long computations. Each base has a pool of up to 16 threads, started as
// they are needed; more calls wait for their turn. The threads block all signals.
//
// Cancelling the wait does not stop f(), whose result is then destroyed. The task may be gone while
// f() runs, so f must own what it uses, and not refer to variables of the task. Destroying the base
// waits for the calls that run, and drops those that have not begun. On Backend::none f() runs here
// and at once, so that a simulation has no threads.
// Errors: throws what f() throws; std::errc::operation_canceled; std::bad_alloc; the system's own
// if no thread can be started.
template <std::invocable F>
[[nodiscard]] auto blocking(F f, unsigned line = __builtin_LINE()) {
  return detail::Blocking<F>(std::move(f), line);
}

// The same for f(args...). This is how to give it values: g++ 12 destroys what a lambda captures
// twice if the lambda is made inside a co_await expression. See docs/coroutines.md.
template <class F, class... Args>
requires(sizeof...(Args) > 0 && std::invocable<F&, Args...>)
[[nodiscard]] auto blocking(F f, Args... args) {
  auto call = [function = std::move(f), values = std::tuple(std::move(args)...)]() mutable {
    return std::apply(function, std::move(values));
  };
  return detail::Blocking<decltype(call)>(std::move(call), 0U);
}

}  // namespace event_cpp::co
