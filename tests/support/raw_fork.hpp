// A fork that no handler of pthread_atfork(3) sees, as _Fork(3) is one.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>

#include <csignal>
#endif

namespace event_cpp::test {

#if defined(__linux__) && !defined(__s390__)
inline constexpr bool kForksUnseen = true;
inline pid_t raw_fork() {
  return static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}
#else
inline constexpr bool kForksUnseen = false;
inline pid_t raw_fork() { return ::fork(); }
#endif

}  // namespace event_cpp::test
