// What a thread keeps is freed at its end.
#pragma once

#include <pthread.h>

namespace event_cpp::co::detail {

// Calls a function at the end of each thread that has asked for it; not at the end of the program,
// for the thread of main(). Not a thread_local with a destructor: without memory for that, glibc
// ends the program.
class ThreadEnd {
 public:
  explicit ThreadEnd(void (*function)(void*)) noexcept
      : exists_(::pthread_key_create(&key_, function) == 0) {}

  // Returns false if it cannot be done. See pthread_setspecific(3).
  bool ask() const noexcept { return exists_ && ::pthread_setspecific(key_, this) == 0; }

 private:
  pthread_key_t key_{};
  bool exists_;
};

}  // namespace event_cpp::co::detail
