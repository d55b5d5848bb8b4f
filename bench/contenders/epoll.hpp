// Events by hand, on epoll_loop.hpp.
#pragma once

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdint>

#include "contenders/epoll_coroutines.hpp"
#include "contenders/epoll_loop.hpp"
#include "support/contender.hpp"
#include "support/system.hpp"
#include "support/timer_heap.hpp"

namespace bench {

struct Contender {
  using Loop = EpollLoop;
  using Coroutines = EpollCoroutines;

  template <class H>
  class Read : EpollWatch {
   public:
    static constexpr std::size_t kBytes = sizeof(EpollWatch) + sizeof(void*);

    Read(Loop& loop, int number, H handler) : loop_(&loop), handler_(handler) {
      fd = number;
      call = [](EpollWatch* watch) {
        auto* self = static_cast<Read*>(watch);
        self->handler_(*self);
      };
    }
    void start() { loop_->control(EPOLL_CTL_ADD, *this, EPOLLIN); }
    void stop() { loop_->control(EPOLL_CTL_DEL, *this, 0); }

   private:
    Loop* loop_;
    [[no_unique_address]] H handler_;
  };

  // Attached again in its callback: it is never taken away, so that only the first start tells the
  // kernel.
  template <class H>
  class OneShot : EpollWatch {
   public:
    OneShot(Loop& loop, int number, H handler) : loop_(&loop), handler_(handler) {
      fd = number;
      call = [](EpollWatch* watch) {
        auto* self = static_cast<OneShot*>(watch);
        self->armed_ = false;
        self->handler_(*self);
        if (!self->armed_) self->disarm();
      };
    }
    void start() {
      armed_ = true;
      if (watched_) return;
      watched_ = true;
      loop_->control(EPOLL_CTL_ADD, *this, EPOLLIN);
    }

   private:
    void disarm() {
      watched_ = false;
      loop_->control(EPOLL_CTL_DEL, *this, 0);
    }

    bool armed_ = false;
    bool watched_ = false;
    Loop* loop_;
    [[no_unique_address]] H handler_;
  };

  template <class H>
  class IdleRead : EpollWatch, EpollIdle {
   public:
    static constexpr std::size_t kBytes = sizeof(EpollWatch) + sizeof(void*) + sizeof(EpollIdle);

    IdleRead(Loop& loop, int number, H handler) : loop_(&loop), handler_(handler) {
      fd = number;
      call = [](EpollWatch* watch) {
        auto* self = static_cast<IdleRead*>(watch);
        self->loop_->touch(*self);
        self->handler_(*self);
      };
    }
    void start() {
      loop_->touch(*this);
      loop_->control(EPOLL_CTL_ADD, *this, EPOLLIN);
    }

   private:
    Loop* loop_;
    [[no_unique_address]] H handler_;
  };

  template <class H>
  class Timer : HeapTimer {
   public:
    static constexpr std::size_t kBytes = sizeof(HeapTimer) + sizeof(void*);

    Timer(Loop& loop, H handler) : loop_(&loop), handler_(handler) {
      call = [](HeapTimer* timer) {
        auto* self = static_cast<Timer*>(timer);
        self->handler_(*self);
      };
    }
    void start(std::int64_t delay) { loop_->timers().push(*this, loop_->now() + delay); }
    void later(std::int64_t delay) { loop_->timers().postpone(*this, loop_->now() + delay); }
    void cancel() { loop_->timers().remove(*this); }

   private:
    Loop* loop_;
    [[no_unique_address]] H handler_;
  };

  template <class H>
  class Signal : EpollWatch {
   public:
    Signal(Loop& loop, int number, H handler) : loop_(&loop), handler_(handler) {
      sigset_t signals;
      sigemptyset(&signals);
      sigaddset(&signals, number);
      ::sigprocmask(SIG_BLOCK, &signals, nullptr);
      fd = checked(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC), "signalfd");
      call = [](EpollWatch* watch) {
        auto* self = static_cast<Signal*>(watch);
        signalfd_siginfo info;
        if (::read(self->fd, &info, sizeof info) == sizeof info) self->handler_(*self);
      };
    }
    void start() { loop_->control(EPOLL_CTL_ADD, *this, EPOLLIN); }

   private:
    Loop* loop_;
    [[no_unique_address]] H handler_;
  };
};

}  // namespace bench
