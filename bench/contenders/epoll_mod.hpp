// The hand-written loop on epoll, with one-shots that the kernel disarms: EPOLLONESHOT, and a call
// to attach one again.
#pragma once

#include "contenders/epoll.hpp"

namespace bench {

struct ModContender {
  using Loop = EpollLoop;

  template <class H>
  using Read = Contender::Read<H>;

  template <class H>
  class OneShot : EpollWatch {
   public:
    OneShot(Loop& loop, int number, H handler) : loop_(&loop), handler_(handler) {
      fd = number;
      call = [](EpollWatch* watch) {
        auto* self = static_cast<OneShot*>(watch);
        self->handler_(*self);
      };
    }
    void start() {
      loop_->control(operation_, *this, EPOLLIN | EPOLLONESHOT);
      operation_ = EPOLL_CTL_MOD;
    }

   private:
    int operation_ = EPOLL_CTL_ADD;
    Loop* loop_;
    [[no_unique_address]] H handler_;
  };
};

}  // namespace bench
