// A submission and a completion queue shared with the kernel, by liburing.
#pragma once

#include <liburing.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

#include "backend/deadline.hpp"
#include "backend/io_uring.hpp"

namespace event_cpp::detail {

// Unlike a thread's id it is never given to another one.
inline std::uint64_t number_of_this_thread() noexcept {
  static std::atomic<std::uint64_t> last{0};
  thread_local const std::uint64_t number = last.fetch_add(1, std::memory_order_relaxed) + 1;
  return number;
}

// One thread submits to it and runs its work, which happens inside of calls with get_events alone:
// completions come in batches, and nothing interrupts the thread. Every function returns 0 or an
// errno where it returns an int. See io_uring_setup(2), of which this takes SINGLE_ISSUER and
// DEFER_TASKRUN; without these a ring is slower than epoll.
class Ring {
 public:
  Ring() = default;
  ~Ring() { close(); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // A smaller one where memory may not be locked: the kernel counts it against RLIMIT_MEMLOCK.
  int open(RingSize size) noexcept {
    int error = 0;
    do {
      io_uring_params params{};
      params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
                     IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED;
      params.cq_entries = size.completions;
      error = -::io_uring_queue_init_params(size.submissions, &ring_, &params);
      size.submissions /= 2;
      size.completions /= 2;
    } while (error == ENOMEM && size.submissions >= kFewest);
    open_ = error == 0;
    owner_ = 0;
    return error;
  }
  void close() noexcept {
    if (open_) ::io_uring_queue_exit(&ring_);
    open_ = false;
  }

  bool is_open() const noexcept { return open_; }

  // To be called before what is below: the first thread to do so is the one that uses the ring.
  // Errors: EEXIST: another one is.
  int claim() noexcept {
    const std::uint64_t thread = number_of_this_thread();
    if (owner_ == thread) return 0;
    if (owner_ != 0) return EEXIST;
    // The library of 2.3 declares a function for it, and does not have it.
    const int error = -::io_uring_register(static_cast<unsigned>(ring_.ring_fd),
                                           IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
    if (error != 0) return error;
    static_cast<void>(::io_uring_register_ring_fd(&ring_));  // saves a look-up, if it works
    owner_ = thread;
    return 0;
  }
  bool is_mine() const noexcept { return open_ && owner_ == number_of_this_thread(); }

  // Whether there are entries to submit.
  bool has_entries() const noexcept { return open_ && ::io_uring_sq_ready(&ring_) != 0; }

  // Calls f(entry) for each of them: the kernel reads them when they are submitted, not before.
  // Requires: the ring is open.
  template <class F>
  void for_each_entry(F&& f) {
    for (unsigned i = *ring_.sq.khead; i != ring_.sq.sqe_tail; ++i) {
      f(ring_.sq.sqes[i & *ring_.sq.kring_mask]);
    }
  }

  // An entry to fill. A full queue is submitted first; nullptr if that fails.
  io_uring_sqe* next() noexcept {
    io_uring_sqe* const entry = ::io_uring_get_sqe(&ring_);
    if (entry != nullptr || submit() != 0) return entry;
    return ::io_uring_get_sqe(&ring_);
  }

  int submit() noexcept { return error_of(::io_uring_submit(&ring_)); }

  // Submits, and has the kernel do the work that is due, some twenty completions at most.
  int submit_and_get_events() noexcept {
    return error_of(::io_uring_submit_and_get_events(&ring_));
  }

  // The same, and waits for a completion. Errors: ETIME: the deadline has passed.
  int submit_and_wait(TimePoint deadline) noexcept {
    io_uring_cqe* first = nullptr;
    __kernel_timespec left{};
    if (deadline != TimePoint::max()) {
      const timespec until = to_timespec(time_left(deadline));
      left.tv_sec = until.tv_sec;
      left.tv_nsec = until.tv_nsec;
    }
    return error_of(::io_uring_submit_and_wait_timeout(
        &ring_, &first, 1, deadline != TimePoint::max() ? &left : nullptr, nullptr));
  }

  // Whether something has happened that the next get_events will tell of.
  bool has_work() const noexcept {
    return (IO_URING_READ_ONCE(*ring_.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) !=
           0;
  }

  // The oldest completion, or nullptr.
  const io_uring_cqe* peek() const noexcept {
    const unsigned head = *ring_.cq.khead;
    if (head == io_uring_smp_load_acquire(ring_.cq.ktail)) return nullptr;
    return &ring_.cq.cqes[head & *ring_.cq.kring_mask];
  }
  void pop() noexcept { ::io_uring_cq_advance(&ring_, 1); }

 private:
  static constexpr unsigned kFewest = 8;

  // They return a negative errno, or how many entries were submitted.
  static int error_of(int result) noexcept { return result < 0 ? -result : 0; }

  io_uring ring_{};
  bool open_ = false;
  std::uint64_t owner_ = 0;  // the thread; 0: none yet
};

}  // namespace event_cpp::detail
