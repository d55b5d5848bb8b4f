// The part of the library to be preloaded that is about processes. A child of clone(2) makes its
// calls by syscall(2), in the memory of its parent, so that they are seen here and fail like any
// other. What the C library does in a child of posix_spawn(3) is not seen: it fails as a whole.
#include <grp.h>
#include <sched.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>

#include "preload.hpp"

using event_cpp::faults::Call;
using event_cpp::faults::fails;
using event_cpp::faults::Next;

namespace {

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

// A raw call that can fail; `last` if it is none.
Call call_of_number(long number) noexcept {
  switch (number) {
    case SYS_chdir:
      return Call::chdir;
    case SYS_close_range:
      return Call::close_range;
    case SYS_dup3:
      return Call::dup3;
    case SYS_execve:
      return Call::execve;
    case SYS_fcntl:
      return Call::fcntl;
    case SYS_ioctl:
      return Call::ioctl;
    case SYS_pidfd_open:
      return Call::pidfd_open;
    case SYS_pidfd_send_signal:
      return Call::pidfd_send_signal;
    case SYS_prctl:
      return Call::prctl;
    case SYS_prlimit64:
      return Call::prlimit;
    case SYS_setgid:
      return Call::setgid;
    case SYS_setgroups:
      return Call::setgroups;
    case SYS_setpgid:
      return Call::setpgid;
    case SYS_setsid:
      return Call::setsid;
    case SYS_setuid:
      return Call::setuid;
    default:
      return Call::last;
  }
}

}  // namespace

extern "C" {

EVENT_FAILING(access, (const char* path, int mode) noexcept, (path, mode))
EVENT_FAILING(chdir, (const char* path) noexcept, (path))
EVENT_FAILING(close_range, (unsigned first, unsigned last, int flags) noexcept,
              (first, last, flags))
EVENT_FAILING_AS(Call::dup3, dup2, (int from, int to) noexcept, (from, to))
EVENT_FAILING(dup3, (int from, int to, int flags) noexcept, (from, to, flags))
EVENT_FAILING(execve, (const char* path, char* const* arguments, char* const* environment) noexcept,
              (path, arguments, environment))
EVENT_FAILING(faccessat, (int directory, const char* path, int mode, int flags) noexcept,
              (directory, path, mode, flags))
EVENT_FAILING(fstatat, (int directory, const char* path, struct stat* status, int flags) noexcept,
              (directory, path, status, flags))
EVENT_FAILING(posix_openpt, (int flags), (flags))
EVENT_FAILING(setgid, (gid_t gid) noexcept, (gid))
EVENT_FAILING(setgroups, (size_t count, const gid_t* groups) noexcept, (count, groups))
EVENT_FAILING(setpgid, (pid_t process, pid_t group) noexcept, (process, group))
EVENT_FAILING_AS(Call::prlimit, setrlimit,
                 (__rlimit_resource_t resource, const rlimit* limit) noexcept, (resource, limit))
EVENT_FAILING(setsid, () noexcept, ())
EVENT_FAILING(setuid, (uid_t uid) noexcept, (uid))
EVENT_FAILING(waitid, (idtype_t type, id_t id, siginfo_t* info, int options),
              (type, id, info, options))

[[gnu::visibility("default")]] int posix_spawn(pid_t* child, const char* program,
                                               const posix_spawn_file_actions_t* actions,
                                               const posix_spawnattr_t* attributes,
                                               char* const* arguments, char* const* environment) {
  static constinit Next<int(pid_t*, const char*, const posix_spawn_file_actions_t*,
                            const posix_spawnattr_t*, char* const*, char* const*)>
      next("posix_spawn");
  if (fails(Call::posix_spawn)) return errno;
  return next(child, program, actions, attributes, arguments, environment);
}

[[gnu::visibility("default")]] pid_t fork() noexcept {
  static constinit Next<pid_t()> next("fork");
  if (fails(Call::fork)) return -1;
  const pid_t child = next();
  if (child == 0) event_cpp::faults::be_child();
  return child;
}

[[gnu::visibility("default")]] pid_t waitpid(pid_t process, int* status, int options) {
  static constinit Next<pid_t(pid_t, int*, int)> next("waitpid");
  return fails(Call::waitpid) ? -1 : next(process, status, options);
}

// Both of them pass on as many arguments as there can be. The child of a clone(2) has a stack of
// its own, and returns from none of these.
[[gnu::visibility("default")]] int clone(int (*function)(void*), void* stack, int flags,
                                         void* argument, ...) noexcept {
  static constinit Next<int(int (*)(void*), void*, int, void*, void*, void*, void*)> next("clone");
  va_list more;
  va_start(more, argument);
  void* const a = va_arg(more, void*);
  void* const b = va_arg(more, void*);
  void* const c = va_arg(more, void*);
  va_end(more);
  return fails(Call::clone) ? -1 : next(function, stack, flags, argument, a, b, c);
}

[[gnu::visibility("default")]] long syscall(long number, ...) noexcept {
  static constinit Next<long(long, long, long, long, long, long, long)> next("syscall");
  va_list more;
  va_start(more, number);
  const long a = va_arg(more, long), b = va_arg(more, long), c = va_arg(more, long);
  const long d = va_arg(more, long), e = va_arg(more, long), f = va_arg(more, long);
  va_end(more);
  const Call call = call_of_number(number);
  if (call != Call::last && fails(call)) return -1;
  return next(number, a, b, c, d, e, f);
}

}  // extern "C"
