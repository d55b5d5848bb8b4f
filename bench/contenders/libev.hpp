// libev.
#pragma once

// Its watchers without a common first member, so that no pointer is used as what it is not.
#define EV_COMPAT3 0
#include <ev.h>

#include <cstdint>

#include "support/contender.hpp"
#include "support/task_queue.hpp"

namespace bench {

struct Contender {
  class Loop {
   public:
    explicit Loop(bool /*precise*/ = false) : loop_(ev_loop_new(EVBACKEND_EPOLL)) {
      ev_set_userdata(loop_, this);
    }
    void run() { ev_run(loop_, 0); }
    void poll() { ev_run(loop_, EVRUN_NOWAIT); }
    void stop() { ev_break(loop_, EVBREAK_ONE); }
    void settle() {}
    void refresh() { ev_now_update(loop_); }
    void accept_posts() {
      ev_set_cb(&posted_, &run_posted);
      ev_async_set(&posted_);
      ev_async_start(loop_, &posted_);
    }
    void post(Task task) {
      if (tasks_.push(task)) ev_async_send(loop_, &posted_);
    }
    struct ev_loop* loop() { return loop_; }

   private:
    static void run_posted(struct ev_loop* loop, ev_async*, int) {
      static_cast<Loop*>(ev_userdata(loop))->tasks_.run_all();
    }

    struct ev_loop* loop_;
    TaskQueue tasks_;
    ev_async posted_{};
  };

  template <class H, bool kOneShot>
  class Watch {
   public:
    static constexpr std::size_t kBytes = sizeof(ev_io);

    Watch(Loop& loop, int fd, H handler) : loop_(loop.loop()), handler_(handler) {
      ev_set_cb(&io_, &call);
      ev_io_set(&io_, fd, EV_READ);
      io_.data = this;
    }
    void start() { ev_io_start(loop_, &io_); }
    void stop() { ev_io_stop(loop_, &io_); }

   private:
    static void call(struct ev_loop* loop, ev_io* io, int) {
      if (kOneShot) ev_io_stop(loop, io);
      auto* self = static_cast<Watch*>(io->data);
      self->handler_(*self);
    }

    ev_io io_{};
    struct ev_loop* loop_;
    [[no_unique_address]] H handler_;
  };

  template <class H>
  using Read = Watch<H, false>;
  template <class H>
  using OneShot = Watch<H, true>;

  template <class H>
  class IdleRead {
   public:
    static constexpr std::size_t kBytes = sizeof(ev_io) + sizeof(ev_timer);

    IdleRead(Loop& loop, int fd, H handler) : loop_(loop.loop()), handler_(handler) {
      ev_set_cb(&io_, &call);
      ev_io_set(&io_, fd, EV_READ);
      io_.data = this;
      ev_set_cb(&idle_, &idle);
      ev_timer_set(&idle_, 0., kIdleSeconds);
    }
    void start() {
      ev_io_start(loop_, &io_);
      ev_timer_again(loop_, &idle_);
    }

   private:
    static void call(struct ev_loop* loop, ev_io* io, int) {
      auto* self = static_cast<IdleRead*>(io->data);
      ev_timer_again(loop, &self->idle_);
      self->handler_(*self);
    }
    static void idle(struct ev_loop*, ev_timer*, int) { idle_timeout_came(); }

    ev_io io_{};
    ev_timer idle_{};
    struct ev_loop* loop_;
    [[no_unique_address]] H handler_;
  };

  template <class H>
  class Timer {
   public:
    static constexpr std::size_t kBytes = sizeof(ev_timer);

    Timer(Loop& loop, H handler) : loop_(loop.loop()), handler_(handler) {
      ev_set_cb(&timer_, &call);
      timer_.data = this;
    }
    void start(std::int64_t delay) {
      ev_timer_set(&timer_, static_cast<double>(delay) * 1e-9, 0.);
      ev_timer_start(loop_, &timer_);
    }
    void later(std::int64_t delay) {
      timer_.repeat = static_cast<double>(delay) * 1e-9;
      ev_timer_again(loop_, &timer_);
    }
    void cancel() { ev_timer_stop(loop_, &timer_); }

   private:
    static void call(struct ev_loop*, ev_timer* timer, int) {
      auto* self = static_cast<Timer*>(timer->data);
      self->handler_(*self);
    }

    ev_timer timer_{};
    struct ev_loop* loop_;
    [[no_unique_address]] H handler_;
  };

  template <class H>
  class Signal {
   public:
    Signal(Loop& loop, int number, H handler) : loop_(loop.loop()), handler_(handler) {
      ev_set_cb(&signal_, &call);
      ev_signal_set(&signal_, number);
      signal_.data = this;
    }
    void start() { ev_signal_start(loop_, &signal_); }

   private:
    static void call(struct ev_loop*, ev_signal* signal, int) {
      auto* self = static_cast<Signal*>(signal->data);
      self->handler_(*self);
    }

    ev_signal signal_{};
    struct ev_loop* loop_;
    [[no_unique_address]] H handler_;
  };
};

}  // namespace bench
