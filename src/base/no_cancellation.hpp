// Keeps pthread_cancel(3) out of system calls that must not end half-way.
#pragma once

#include <pthread.h>

namespace event_cpp::detail {

// While it lives this thread is not cancelled; a request waits. Many system calls are cancellation
// points, and a cancellation unwinds the stack: that must not happen in a destructor or any other
// function that is noexcept. Only waiting for events may be cancelled.
class NoCancellation {
 public:
  NoCancellation() noexcept { ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  ~NoCancellation() { ::pthread_setcancelstate(before_, &before_); }
  NoCancellation(const NoCancellation&) = delete;
  NoCancellation& operator=(const NoCancellation&) = delete;

 private:
  int before_ = 0;
};

}  // namespace event_cpp::detail
