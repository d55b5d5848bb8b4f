// libuv, with uv_poll_t for descriptors of which the program itself reads.
#pragma once

#include <uv.h>

#include <cstdint>

#include "support/clock.hpp"
#include "support/contender.hpp"
#include "support/task_queue.hpp"

namespace bench {

struct Contender {
  class Loop {
   public:
    explicit Loop(bool /*precise*/ = false) {
      uv_loop_init(&loop_);
      loop_.data = this;
    }
    void run() { uv_run(&loop_, UV_RUN_DEFAULT); }
    void poll() { uv_run(&loop_, UV_RUN_NOWAIT); }
    void stop() { uv_stop(&loop_); }
    void settle() {}
    void refresh() { uv_update_time(&loop_); }
    void accept_posts() {
      uv_async_init(&loop_, &posted_, [](uv_async_t* posted) {
        static_cast<Loop*>(posted->loop->data)->tasks_.run_all();
      });
    }
    void post(Task task) {
      if (tasks_.push(task)) uv_async_send(&posted_);
    }
    uv_loop_t* loop() { return &loop_; }

   private:
    uv_loop_t loop_{};
    TaskQueue tasks_;
    uv_async_t posted_{};
  };

  template <class H, bool kOneShot>
  class Watch {
   public:
    static constexpr std::size_t kBytes = sizeof(uv_poll_t);

    Watch(Loop& loop, int fd, H handler) : handler_(handler) {
      uv_poll_init(loop.loop(), &poll_, fd);
      poll_.data = this;
    }
    void start() { uv_poll_start(&poll_, UV_READABLE, &call); }
    void stop() { uv_poll_stop(&poll_); }

   private:
    static void call(uv_poll_t* poll, int, int) {
      if (kOneShot) uv_poll_stop(poll);
      auto* self = static_cast<Watch*>(poll->data);
      self->handler_(*self);
    }

    uv_poll_t poll_{};
    [[no_unique_address]] H handler_;
  };

  template <class H>
  using Read = Watch<H, false>;
  template <class H>
  using OneShot = Watch<H, true>;

  template <class H>
  class IdleRead {
   public:
    static constexpr std::size_t kBytes = sizeof(uv_poll_t) + sizeof(uv_timer_t);

    IdleRead(Loop& loop, int fd, H handler) : handler_(handler) {
      uv_poll_init(loop.loop(), &poll_, fd);
      uv_timer_init(loop.loop(), &idle_);
      poll_.data = this;
    }
    void start() {
      uv_poll_start(&poll_, UV_READABLE, &call);
      uv_timer_start(
          &idle_, [](uv_timer_t*) { idle_timeout_came(); }, kIdleSeconds * 1000,
          kIdleSeconds * 1000);
    }

   private:
    static void call(uv_poll_t* poll, int, int) {
      auto* self = static_cast<IdleRead*>(poll->data);
      uv_timer_again(&self->idle_);
      self->handler_(*self);
    }

    uv_poll_t poll_{};
    uv_timer_t idle_{};
    [[no_unique_address]] H handler_;
  };

  template <class H>
  class Timer {
   public:
    static constexpr std::size_t kBytes = sizeof(uv_timer_t);

    Timer(Loop& loop, H handler) : handler_(handler) {
      uv_timer_init(loop.loop(), &timer_);
      timer_.data = this;
    }
    void start(std::int64_t delay) {
      const auto milliseconds = (delay + kMillisecond - 1) / kMillisecond;
      uv_timer_start(&timer_, &call, static_cast<std::uint64_t>(milliseconds), 0);
    }
    void later(std::int64_t delay) { start(delay); }
    void cancel() { uv_timer_stop(&timer_); }

   private:
    static void call(uv_timer_t* timer) {
      auto* self = static_cast<Timer*>(timer->data);
      self->handler_(*self);
    }

    uv_timer_t timer_{};
    [[no_unique_address]] H handler_;
  };

  template <class H>
  class Signal {
   public:
    Signal(Loop& loop, int number, H handler) : number_(number), handler_(handler) {
      uv_signal_init(loop.loop(), &signal_);
      signal_.data = this;
    }
    void start() { uv_signal_start(&signal_, &call, number_); }

   private:
    static void call(uv_signal_t* signal, int) {
      auto* self = static_cast<Signal*>(signal->data);
      self->handler_(*self);
    }

    uv_signal_t signal_{};
    int number_;
    [[no_unique_address]] H handler_;
  };
};

}  // namespace bench
