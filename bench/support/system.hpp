// What every measured process asks of the system.
#pragma once

#include <sched.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

namespace bench {

[[noreturn]] inline void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

inline int checked(int result, const char* what) {
  if (result < 0) fail(what);
  return result;
}

// As many descriptors as this process may have.
inline void raise_descriptor_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

inline int make_eventfd(unsigned value = 0, int flags = 0) {
  return checked(::eventfd(value, EFD_NONBLOCK | EFD_CLOEXEC | flags), "eventfd");
}

// Moves the calling thread to the second processor, if there is one.
inline void use_second_processor() {
  cpu_set_t processors;
  CPU_ZERO(&processors);
  CPU_SET(1, &processors);
  ::sched_setaffinity(0, sizeof processors, &processors);
}

}  // namespace bench
