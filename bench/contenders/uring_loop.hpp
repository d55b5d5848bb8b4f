// A loop written by hand on io_uring: requests, and the functions that get their results.
#pragma once

#include <liburing.h>

#include <cerrno>
#include <cstdint>

#include "support/system.hpp"

namespace bench {

// What the user data of a request points to; null for requests of which the result says nothing.
struct UringRequest {
  void (*call)(UringRequest*, const io_uring_cqe&) = nullptr;
};

class UringLoop {
 public:
  explicit UringLoop(bool /*precise*/ = false) {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
                       IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN;
    parameters.cq_entries = 32768;
    errno = -::io_uring_queue_init_params(4096, &ring_, &parameters);
    if (errno != 0) fail("io_uring_setup");
  }
  UringLoop(const UringLoop&) = delete;
  UringLoop& operator=(const UringLoop&) = delete;

  void run() {
    for (stopped_ = false; !stopped_;) {
      ::io_uring_submit_and_wait(&ring_, 1);
      deliver();
    }
  }
  void poll() {
    ::io_uring_submit_and_get_events(&ring_);
    deliver();
  }
  void stop() { stopped_ = true; }
  void settle() {}
  void refresh() {}

  io_uring& ring() { return ring_; }

  // Asks for what `prepare` puts into a request; it goes out with the next wait.
  template <class Prepare>
  void request(UringRequest* user, const Prepare& prepare) {
    io_uring_sqe* sqe = ::io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
      ::io_uring_submit(&ring_);
      sqe = ::io_uring_get_sqe(&ring_);
    }
    prepare(sqe);
    ::io_uring_sqe_set_data(sqe, user);
  }

 private:
  void deliver() {
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&ring_, head, cqe) {
      ++count;
      auto* const user = static_cast<UringRequest*>(::io_uring_cqe_get_data(cqe));
      if (user != nullptr) user->call(user, *cqe);
    }
    ::io_uring_cq_advance(&ring_, count);
  }

  io_uring ring_{};
  bool stopped_ = false;
};

}  // namespace bench
