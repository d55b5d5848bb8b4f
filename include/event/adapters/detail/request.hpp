// Requests to a C library, and how their answers are passed to tasks and functions.
//
// A C library reports an answer in a callback, called from its own code. No code of the user may
// run there: it could free objects that the library still uses, and an exception must not pass
// through C code. So the callback only stores the answer and puts the request into the adapter's
// inbox. When the library has returned, the inbox resumes the tasks and calls the functions.
#pragma once

#include <coroutine>
#include <exception>
#include <memory>
#include <utility>

#include "event/adapters/detail/outcome.hpp"
#include "event/base.hpp"
#include "event/co/task.hpp"

namespace event_cpp::adapters::detail {

// A request that was answered, in an inbox. go_on() or give_up() deletes it.
class Answered : public co::detail::Link {
 public:
  // Resumes the task or calls the function.
  virtual void go_on() = 0;
  // Called if the adapter is destroyed: the task resumes in the next iteration; a function is not
  // called.
  virtual void give_up() noexcept = 0;

 protected:
  Answered() = default;
  ~Answered() = default;
};

// Collects requests that were answered while the C library ran. An adapter has one, and declares it
// before the library's object, which may still answer while it is being destroyed.
class Inbox final : private Event {
 public:
  explicit Inbox(Base& base) noexcept : Event(base, -1, Events::timeout, Calls<&Inbox::fire>()) {}
  ~Inbox() {
    if (running_ != nullptr) {
      running_->gone = true;
      give_up_all(running_->list);
    }
    give_up_all(list_);
  }

  using Event::base;

  // Adds a request. It is continued when the library has returned: in leave(), or outside enter()
  // and leave() in the next iteration.
  void add(Answered& answered) noexcept {
    if (!inside_ && !list_.linked()) activate(Events::timeout);
    list_.push_back(answered);
  }

  // To be called before and after calls of the library in a callback of the base. leave() may
  // destroy the adapter, so it must be the last call. Errors: leave() throws what a function
  // throws, after all of them were called.
  void enter() noexcept { inside_ = true; }
  void leave() {
    inside_ = false;
    if (list_.linked()) run_all();
  }

 private:
  struct Running {
    co::detail::Link list;
    bool gone = false;  // the inbox is
  };

  static void fire(Event& event, Events /*fired*/) { static_cast<Inbox&>(event).leave(); }
  static Answered& first(const co::detail::Link& list) noexcept {
    return static_cast<Answered&>(*list.next());
  }
  static void give_up_all(co::detail::Link& list) noexcept {
    while (list.linked()) {
      Answered& answered = first(list);
      answered.unlink();
      answered.give_up();
    }
  }

  void run_all() {
    Running running;
    running.list.take_all(list_);
    Running* const outer = std::exchange(running_, &running);
    Base& on = base();
    std::exception_ptr thrown;
    while (running.list.linked()) {
      Answered& answered = first(running.list);
      answered.unlink();
      try {
        answered.go_on();
      } catch (...) {
        if (thrown == nullptr) {
          thrown = std::current_exception();
        } else {
          on.post([error = std::current_exception()] { std::rethrow_exception(error); });
        }
      }
    }
    if (!running.gone) running_ = outer;
    if (thrown != nullptr) std::rethrow_exception(thrown);
  }

  co::detail::Link list_;
  Running* running_ = nullptr;
  bool inside_ = false;
};

template <class R>
class Ask;

// A request whose answer is a V. An adapter derives its own from this, with
//   static constexpr const char* kWhat            what waits, for co::dump()
//   static void begin(std::unique_ptr<R>)         sends it; throws if that fails at once
//   void abandoned() noexcept                     its task is gone or cancelled: the adapter may
//                                                 delete it now, or when the answer has come
//   void unclaimed() noexcept                     optional: the same, after the answer has come and
//                                                 before it was taken; the inbox deletes the
//                                                 request
//   void taken() noexcept                         optional: its task or function gets the answer
template <class R, class V>
class Request : public Answered, public co::detail::Pooled {
 public:
  using Value = V;
  using Function = event_cpp::detail::Callable<Outcome<V>>;

  // Whether the answer is not needed any more. Requires: begun.
  bool is_abandoned() const noexcept { return task_ == nullptr && !has_function_; }

  // Stores the answer. The request may be deleted at once: do not use it afterwards.
  void answer(Inbox& inbox, Outcome<V>&& outcome) noexcept {
    outcome_ = std::move(outcome);
    answered_ = true;
    inbox.add(*this);
  }
  void answer(Inbox& inbox, V&& value) noexcept {
    answer(inbox, Outcome<V>{std::move(value), nullptr});
  }
  void fail(Inbox& inbox, std::exception_ptr error) noexcept {
    answer(inbox, Outcome<V>{V{}, std::move(error)});
  }

  // The answer, while nobody has taken it.
  V& value() noexcept { return outcome_.value; }
  bool failed() const noexcept { return outcome_.error != nullptr; }

  void unclaimed() noexcept {}
  void taken() noexcept {}

  // Begins the request with a function for the answer. Errors: throws what begin() throws.
  static void begin_with(std::unique_ptr<R> request, Function function) {
    request->function_ = std::move(function);
    request->has_function_ = true;
    R::begin(std::move(request));
  }

 protected:
  Request() = default;
  ~Request() = default;

 private:
  friend class Ask<R>;

  // Of Answered.
  void go_on() final {
    std::unique_ptr<R> self(static_cast<R*>(this));
    if (!is_abandoned()) self->taken();
    if (task_ != nullptr) {
      Ask<R>* const task = task_;
      task->take(std::move(self));
      task->go_on();
    } else if (has_function_) {
      function_(std::move(outcome_));
    }
  }
  void give_up() noexcept final {
    std::unique_ptr<R> self(static_cast<R*>(this));
    if (task_ == nullptr) return;
    Ask<R>* const task = task_;
    task->take(std::move(self));
    task->wake_up();
  }

  Ask<R>* task_ = nullptr;
  bool has_function_ = false;
  bool answered_ = false;
  Function function_;
  Outcome<V> outcome_;
};

// co_await: begins the request, and waits for its answer.
template <class R>
class [[nodiscard]] Ask final : public co::detail::Wait {
 public:
  Ask(std::unique_ptr<R> request, unsigned line) noexcept
      : Wait(line), request_(std::move(request)) {}
  Ask(Ask&& other) noexcept : Wait(std::move(other)), request_(std::move(other.request_)) {}
  ~Ask() { abandon(); }

  template <co::detail::TaskPromise P>
  void await_suspend(std::coroutine_handle<P> task) {
    co::detail::Chain& chain = task.promise().chain();
    if (chain.cancelled) return begin_cancelled(chain, task.address());
    in_flight_ = request_.get();
    request_->task_ = this;
    begin(chain, task.address());
    try {
      R::begin(std::move(request_));
    } catch (...) {
      in_flight_ = nullptr;
      finish();
      throw;
    }
  }
  typename R::Value await_resume() {
    throw_if_cancelled();
    return request_->outcome_.take();
  }
  co::Waiting waiting() const noexcept override { return describe(R::kWhat); }

 private:
  friend Request<R, typename R::Value>;

  void take(std::unique_ptr<R> answered) noexcept {
    in_flight_ = nullptr;
    request_ = std::move(answered);
  }
  void go_on() noexcept { resume(); }
  void wake_up() noexcept { wake(); }

  void abandon() noexcept {
    R* const request = std::exchange(in_flight_, nullptr);
    if (request == nullptr) return;
    request->task_ = nullptr;
    if (request->answered_) {
      request->unclaimed();
    } else {
      request->abandoned();
    }
  }
  void withdraw() noexcept override { abandon(); }

  std::unique_ptr<R> request_;  // before it is begun, and when it was answered
  R* in_flight_ = nullptr;      // between these
};

}  // namespace event_cpp::adapters::detail
