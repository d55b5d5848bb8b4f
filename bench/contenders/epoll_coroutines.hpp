// Coroutines written by hand on the loop of epoll_loop.hpp: they pass control by symmetric
// transfer, and what is ready to go on stands in a queue. Cancelling is for tasks that sleep, and
// nothing else.
#pragma once

#include <sys/epoll.h>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "contenders/epoll_loop.hpp"
#include "support/clock.hpp"

namespace bench {

// Runs in turn what is ready, between looks at the kernel.
class EpollReady {
 public:
  static EpollReady& instance() {
    static EpollReady ready;
    return ready;
  }
  void push(std::coroutine_handle<> handle) { next_.push_back(handle); }
  bool empty() const { return next_.empty(); }
  void run() {
    current_.swap(next_);
    for (const std::coroutine_handle<> handle : current_) handle.resume();
    current_.clear();
  }

 private:
  std::vector<std::coroutine_handle<>> next_;
  std::vector<std::coroutine_handle<>> current_;
};

class EpollPromiseBase {
 public:
  struct End {
    bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> self) const noexcept {
      return self.promise().next;
    }
    void await_resume() const noexcept {}
  };
  std::suspend_always initial_suspend() const noexcept { return {}; }
  End final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { error = std::current_exception(); }

  std::coroutine_handle<> next = std::noop_coroutine();
  std::exception_ptr error;
};

template <class T>
class EpollTask;

template <class T>
struct EpollPromise : EpollPromiseBase {
  EpollTask<T> get_return_object() noexcept;
  void return_value(T result) { value.emplace(std::move(result)); }
  T take() { return std::move(*value); }
  std::optional<T> value;
};
template <>
struct EpollPromise<void> : EpollPromiseBase {
  EpollTask<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() const noexcept {}
};

template <class T = void>
class [[nodiscard]] EpollTask {
 public:
  using promise_type = EpollPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit EpollTask(Handle handle) noexcept : handle_(handle) {}
  EpollTask(EpollTask&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  EpollTask& operator=(EpollTask&&) = delete;
  ~EpollTask() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
    handle_.promise().next = awaiting;
    return handle_;
  }
  T await_resume() {
    if (handle_.promise().error) std::rethrow_exception(handle_.promise().error);
    return handle_.promise().take();
  }

 private:
  Handle handle_;
};

template <class T>
EpollTask<T> EpollPromise<T>::get_return_object() noexcept {
  return EpollTask<T>(std::coroutine_handle<EpollPromise>::from_promise(*this));
}
inline EpollTask<void> EpollPromise<void>::get_return_object() noexcept {
  return EpollTask<void>(std::coroutine_handle<EpollPromise>::from_promise(*this));
}

// A task that nobody awaits, and that frees itself.
struct EpollDetached {
  struct promise_type {
    EpollDetached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
};

struct EpollCoroutines {
  template <class T = void>
  using Task = EpollTask<T>;

  static void run(EpollLoop& loop, Task<> task) {
    bool ended = false;
    run_to_end(std::move(task), ended);
    while (!ended) {
      if (EpollReady::instance().empty()) {
        loop.turn(true);
      } else {
        loop.turn(false);
        EpollReady::instance().run();
      }
    }
  }

  // Waits in the queue of what is ready.
  struct Yield {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const {
      EpollReady::instance().push(handle);
    }
    void await_resume() const noexcept {}
  };
  static Yield yield(EpollLoop& /*loop*/) { return {}; }

  class Sleeper : HeapTimer {
   public:
    explicit Sleeper(EpollLoop& loop) : loop_(loop) {
      call = [](HeapTimer* timer) { static_cast<Sleeper*>(timer)->handle_.resume(); };
    }
    struct Sleep {
      Sleeper& sleeper;
      std::int64_t delay;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> handle) const { sleeper.start(delay, handle); }
      void await_resume() const { sleeper.throw_if_cancelled(); }
    };
    Sleep sleep(std::int64_t delay) { return {*this, delay}; }
    void cancel() {
      loop_.timers().remove(*this);
      cancelled_ = true;
      EpollReady::instance().push(handle_);
    }

   private:
    void start(std::int64_t delay, std::coroutine_handle<> handle) {
      handle_ = handle;
      loop_.timers().push(*this, now() + delay);
      last_sleeper() = this;
    }
    void throw_if_cancelled() const {
      if (cancelled_) throw std::system_error(std::make_error_code(std::errc::operation_canceled));
    }

    EpollLoop& loop_;
    std::coroutine_handle<> handle_;
    bool cancelled_ = false;
  };

  class Group {
   public:
    explicit Group(EpollLoop& /*loop*/) {}
    void spawn(Task<> task) {
      ++size_;
      run_counted(std::move(task), *this);
    }
    void spawn_to_cancel(Task<> task) { spawn(std::move(task)); }
    void cancel() { last_sleeper()->cancel(); }

    auto join() { return Join{*this}; }

   private:
    struct Join {
      Group& group;
      bool await_ready() const noexcept { return group.size_ == 0; }
      void await_suspend(std::coroutine_handle<> handle) const noexcept { group.join_ = handle; }
      void await_resume() const noexcept {}
    };
    static EpollDetached run_counted(Task<> task, Group& group) {
      try {
        co_await std::move(task);
      } catch (const std::system_error&) {
      }
      if (--group.size_ == 0 && group.join_) {
        EpollReady::instance().push(std::exchange(group.join_, {}));
      }
    }

    std::size_t size_ = 0;
    std::coroutine_handle<> join_;
  };

  // Watched from the first wait on.
  class Readable : EpollWatch {
   public:
    Readable(EpollLoop& loop, int number) {
      fd = number;
      call = [](EpollWatch* watch) {
        auto& self = *static_cast<Readable*>(watch);
        if (self.handle_) std::exchange(self.handle_, {}).resume();
      };
      loop.control(EPOLL_CTL_ADD, *this, EPOLLIN);
    }
    struct Wait {
      Readable& readable;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> handle) const noexcept {
        readable.handle_ = handle;
      }
      void await_resume() const noexcept {}
    };
    Wait wait() { return {*this}; }

   private:
    std::coroutine_handle<> handle_;
  };

  // One task sends, one receives.
  class Channel {
   public:
    Channel(EpollLoop& /*loop*/, std::size_t capacity) : capacity_(capacity) {}

    struct Send {
      Channel& channel;
      int value;
      bool await_ready() const noexcept { return channel.values_.size() < channel.capacity_; }
      void await_suspend(std::coroutine_handle<> handle) const noexcept { channel.other_ = handle; }
      void await_resume() const { channel.push(value); }
    };
    struct Receive {
      Channel& channel;
      bool await_ready() const noexcept { return !channel.values_.empty(); }
      void await_suspend(std::coroutine_handle<> handle) const noexcept { channel.other_ = handle; }
      int await_resume() const { return channel.pop(); }
    };
    Send send(int value) { return {*this, value}; }
    Receive receive() { return {*this}; }

   private:
    void push(int value) {
      values_.push_back(value);
      wake();
    }
    int pop() {
      const int value = values_.front();
      values_.pop_front();
      wake();
      return value;
    }
    void wake() {
      if (other_) EpollReady::instance().push(std::exchange(other_, {}));
    }

    std::size_t capacity_;
    std::deque<int> values_;
    std::coroutine_handle<> other_;  // the one that waits
  };

  class Semaphore {
   public:
    explicit Semaphore(EpollLoop& /*loop*/) {}
    void release() {
      if (waits_) return EpollReady::instance().push(std::exchange(waits_, {}));
      ++permits_;
    }
    struct Acquire {
      Semaphore& semaphore;
      bool await_ready() const noexcept {
        return semaphore.permits_ > 0 && semaphore.permits_-- > 0;
      }
      void await_suspend(std::coroutine_handle<> handle) const noexcept {
        semaphore.waits_ = handle;
      }
      void await_resume() const noexcept {}
    };
    Acquire acquire() { return {*this}; }

   private:
    std::size_t permits_ = 0;
    std::coroutine_handle<> waits_;
  };

  static Task<> with_timeout(EpollLoop& loop, std::int64_t limit, Task<> task) {
    struct Limit : HeapTimer {
      Limit(EpollLoop& its_loop, std::int64_t delay) : loop(its_loop) {
        call = [](HeapTimer*) { idle_timeout_came(); };
        loop.timers().push(*this, now() + delay);
      }
      Limit(const Limit&) = delete;
      Limit& operator=(const Limit&) = delete;
      ~Limit() { loop.timers().remove(*this); }
      EpollLoop& loop;
    };
    const Limit timer(loop, limit);
    co_await std::move(task);
  }

 private:
  static Sleeper*& last_sleeper() {
    static Sleeper* sleeper = nullptr;
    return sleeper;
  }
  static EpollDetached run_to_end(Task<> task, bool& ended) {
    co_await std::move(task);
    ended = true;
  }
};

}  // namespace bench
