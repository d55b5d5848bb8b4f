// libevent.
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>
#include <event2/util.h>
#include <sys/time.h>

#include <cstdint>

#include "support/clock.hpp"
#include "support/contender.hpp"
#include "support/task_queue.hpp"

namespace bench {

struct Contender {
  class Loop {
   public:
    explicit Loop(bool precise = false, bool threads = false) {
      // Locks cost, so that a base has them only if it needs them.
      if (threads) evthread_use_pthreads();
      event_config* config = event_config_new();
      event_config_avoid_method(config, "poll");
      event_config_avoid_method(config, "select");
      if (precise) event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
      base_ = event_base_new_with_config(config);
      event_config_free(config);
    }
    void run() { event_base_loop(base_, EVLOOP_NO_EXIT_ON_EMPTY); }
    void poll() { event_base_loop(base_, EVLOOP_NONBLOCK); }
    void stop() { event_base_loopbreak(base_); }
    void settle() {}
    void refresh() {}
    void post(Task task) {
      if (tasks_.push(task)) event_active(&posted_, EV_READ, 0);
    }
    void accept_posts() {
      event_assign(&posted_, base_, -1, EV_PERSIST, &run_posted, this);
      event_add(&posted_, nullptr);
    }
    event_base* base() { return base_; }

    // Equal timeouts are kept in a list, as libevent's manual advises.
    const timeval* idle_timeout() {
      const timeval timeout{kIdleSeconds, 0};
      if (idle_ == nullptr) idle_ = event_base_init_common_timeout(base_, &timeout);
      return idle_;
    }

   private:
    static void run_posted(evutil_socket_t, short, void* self) {
      static_cast<Loop*>(self)->tasks_.run_all();
    }

    event_base* base_;
    const timeval* idle_ = nullptr;
    TaskQueue tasks_;
    ::event posted_{};
  };

  template <class H, short kEvents, bool kIdle = false>
  class Watch {
   public:
    static constexpr std::size_t kBytes = sizeof(::event);

    Watch(Loop& loop, int fd, H handler) : handler_(handler) {
      event_assign(&event_, loop.base(), fd, kEvents, &call, this);
      if (kIdle) timeout_ = loop.idle_timeout();
    }
    void start() { event_add(&event_, timeout_); }
    void stop() { event_del(&event_); }

   private:
    static void call(evutil_socket_t, short what, void* self) {
      if (kIdle && (what & EV_TIMEOUT) != 0) idle_timeout_came();
      static_cast<Watch*>(self)->handler_(*static_cast<Watch*>(self));
    }

    ::event event_{};
    const timeval* timeout_ = nullptr;
    [[no_unique_address]] H handler_;
  };

  template <class H>
  using Read = Watch<H, EV_READ | EV_PERSIST>;
  template <class H>
  using OneShot = Watch<H, EV_READ>;
  template <class H>
  using IdleRead = Watch<H, EV_READ | EV_PERSIST, true>;
  template <class H>
  using Signal = Watch<H, EV_SIGNAL | EV_PERSIST>;

  template <class H>
  class Timer {
   public:
    static constexpr std::size_t kBytes = sizeof(::event);

    Timer(Loop& loop, H handler) : handler_(handler) {
      evtimer_assign(&event_, loop.base(), &call, this);
    }
    void start(std::int64_t delay) {
      const timeval timeout{delay / kSecond, delay % kSecond / 1000};
      evtimer_add(&event_, &timeout);
    }
    void later(std::int64_t delay) { start(delay); }
    void cancel() { evtimer_del(&event_); }

   private:
    static void call(evutil_socket_t, short, void* self) {
      static_cast<Timer*>(self)->handler_(*static_cast<Timer*>(self));
    }

    ::event event_{};
    [[no_unique_address]] H handler_;
  };
};

}  // namespace bench
