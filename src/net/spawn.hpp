// Starting a process: what is to be done between its birth and its program, and who does it.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cerrno>
#include <cstddef>

#include "base/unique_fd.hpp"
#include "event/net/process.hpp"

namespace event_cpp::net::detail {

using event_cpp::detail::UniqueFd;
using Step = SpawnError::Step;

// What went wrong in the child, if anything. `path` is one of the plan's.
struct Failure {
  Step step = Step::start;
  int error = 0;  // an errno; 0: nothing
  const char* path = nullptr;
};

// A descriptor of this process, and the number that the child is to have it under.
struct Move {
  int from;
  int to;
  bool may_be_closed;  // it is only inherited
};

struct Limit {
  int resource;
  rlimit value;
};

// A Command such that a child can follow it without memory of its own and without the C library:
// plain arrays, owned by a Launch.
struct Plan {
  const char* const* candidates = nullptr;  // paths of the program, in order; null-terminated
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
  const char* directory = nullptr;  // null: as it is
  Move* moves = nullptr;            // the child changes its copy
  std::size_t move_count = 0;
  int first_free = 3;  // no move goes to this number or a higher one
  bool close_others = true;
  Command::Group group = Command::Group::inherit;
  pid_t process_group = 0;
  int terminal = -1;  // the child's end of its terminal; -1: none
  const Limit* limits = nullptr;
  std::size_t limit_count = 0;
  bool has_umask = false;
  mode_t umask = 0;
  bool has_groups = false;
  const gid_t* groups = nullptr;
  std::size_t group_count = 0;
  bool has_gid = false;
  gid_t gid = 0;
  bool has_uid = false;
  uid_t uid = 0;
  bool reset_ignored_signals = false;
  int parent_death_signal = 0;
};

struct Started {
  pid_t pid = -1;
  UniqueFd pidfd;  // none where the system has no such thing
};

// Starts a process. Its program runs when this returns, or there is a failure, and no process.
using Spawner = Failure (*)(const Plan& plan, Started& started) noexcept;

#if EVENT_HAVE_CLONE
// By clone(2): the child borrows the memory of this process until its program runs, so that the
// size of it does not matter, and tells exactly what failed.
Failure spawn_by_clone(const Plan& plan, Started& started) noexcept;
#endif

// By posix_spawn(3) if that can do all of the plan, else by fork(2).
Failure spawn_by_posix(const Plan& plan, Started& started) noexcept;

// The one that Process uses. Tests set it.
extern constinit Spawner spawner;

// Takes the status of a child that ends at once. Waits.
void reap(pid_t pid) noexcept;

// Sends a signal by a descriptor of the process; to its group. Returns 0 or an errno. ENOSYS where
// the system has no such thing.
int signal_by_pidfd(int pidfd, int signo, bool to_group) noexcept;
// The status of a process that has ended and was reaped by other code. -1: the system does not
// tell.
int status_by_pidfd(int pidfd) noexcept;
// In a child: the signal that it gets when the thread that started it ends. Returns 0 or a negative
// errno. ENOTSUP where the system has no such thing.
int set_death_signal(int signo) noexcept;
#if !EVENT_HAVE_CLONE
inline int signal_by_pidfd(int, int, bool) noexcept { return ENOSYS; }
inline int status_by_pidfd(int) noexcept { return -1; }
inline int set_death_signal(int) noexcept { return -ENOTSUP; }
#endif

}  // namespace event_cpp::net::detail
