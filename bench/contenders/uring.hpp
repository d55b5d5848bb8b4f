// A loop written by hand on io_uring, of which polls tell what is readable.
#pragma once

#include <poll.h>

#include "contenders/uring_echo.hpp"
#include "contenders/uring_loop.hpp"
#include "support/contender.hpp"

namespace bench {

struct Contender {
  using Loop = UringLoop;
  using EchoServer = UringEcho;

  enum class Again { by_handler, after_each, seldom };

  template <class H, Again kAgain>
  class Watch : UringRequest {
   public:
    Watch(Loop& loop, int fd, H handler) : loop_(&loop), fd_(fd), handler_(handler) {
      call = [](UringRequest* request, const io_uring_cqe& cqe) {
        auto* self = static_cast<Watch*>(request);
        if (cqe.res < 0) return;
        self->handler_(*self);
        const bool more = (cqe.flags & IORING_CQE_F_MORE) != 0;
        if (kAgain != Again::by_handler && !more) self->start();
      };
    }
    void start() {
      loop_->request(this, [this](io_uring_sqe* sqe) {
        if (kAgain == Again::seldom) {
          ::io_uring_prep_poll_multishot(sqe, fd_, POLLIN);
        } else {
          ::io_uring_prep_poll_add(sqe, fd_, POLLIN);
        }
      });
    }
    void stop() {
      UringRequest* const request = this;
      loop_->request(nullptr, [request](io_uring_sqe* sqe) {
        ::io_uring_prep_poll_remove(sqe, reinterpret_cast<std::uintptr_t>(request));
      });
    }

   private:
    Loop* loop_;
    int fd_;
    [[no_unique_address]] H handler_;
  };

  // A poll that stays tells of what arrives, not of what is still there.
  template <class H>
  using Read = Watch<H, Again::after_each>;
  template <class H>
  using Drained = Watch<H, Again::seldom>;
  template <class H>
  using OneShot = Watch<H, Again::by_handler>;
};

}  // namespace bench
