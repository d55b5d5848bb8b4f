// resume_on() and blocking(): moving a task to another base, and running code in a thread pool.
#pragma once

#include <atomic>
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
  void cancel() noexcept override;
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

  // Nobody waits any more: it is not begun.
  std::atomic<bool> is_cancelled{false};

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

// Resumes the task in an iteration of base `to`, on the thread that runs it. The task still belongs
// to its group, which is notified of its end or failure on the group's own thread. Does nothing if
// the task is on that base already. Cancellation:
//   - A task that was cancelled before does not move, and throws std::errc::operation_canceled.
//   - If a task is cancelled while it is on another base, its waits there fail, but it can still
//     return to its own base with resume_on().
//
// Lifetime: the other base must run until the task has left it or has ended. Until then dispatch()
// of the task's own base does not return for lack of events. Dangerous: destroying the other base
// before that ends the program (std::terminate), and so does destroying the group or another owner
// of the task: join() first. Errors: throws std::errc::operation_canceled, std::bad_alloc. Cost: an
// allocation if the task leaves its own base, and one Base::post().
[[nodiscard]] inline detail::ResumeOn resume_on(Base& to,
                                                unsigned line = __builtin_LINE()) noexcept {
  return {to, line};
}

// Calls f() on a thread of a pool, and waits for it. Returns its result or throws its exception.
// For code that blocks: files, getaddrinfo(3), long computations. Each base has its own pool of up
// to 16 threads, which are started when they are needed; further calls wait in a queue. The threads
// block all signals.
//
// Cancelling the wait does not stop f() if it has started; its result is then destroyed. If it has
// not started it does not run. Since the task may be destroyed while f() runs, f must own what it
// uses, and not refer to variables of the task. The destructor of the base waits for calls that
// run, and drops those that have not started. With Backend::none f() runs at once on the calling
// thread, so that a simulation has no threads. After fork(2) calls of the parent do not end in the
// child: what waits for them there waits until it is cancelled. New calls work.
// Errors: throws what f() throws; std::errc::operation_canceled; std::bad_alloc; a system error if
// no thread can be started.
template <std::invocable F>
[[nodiscard]] auto blocking(F f, unsigned line = __builtin_LINE()) {
  return detail::Blocking<F>(std::move(f), line);
}

// The same for f(args...). Pass values this way instead of capturing them: g++ 12 destroys the
// captures of a lambda twice if the lambda is made inside a co_await expression. See
// docs/coroutines.md.
template <class F, class... Args>
requires(sizeof...(Args) > 0 && std::invocable<F&, Args...>)
[[nodiscard]] auto blocking(F f, Args... args) {
  auto call = [function = std::move(f), values = std::tuple(std::move(args)...)]() mutable {
    return std::apply(function, std::move(values));
  };
  return detail::Blocking<decltype(call)>(std::move(call), 0U);
}

}  // namespace event_cpp::co
