// The calls that can be made to fail, and the plan of which of them does.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace event_cpp::faults {

enum class Call : std::uint8_t {
  accept4,
  access,
  bind,
  calloc,
  chdir,
  clone,
  close,
  close_range,
  connect,
  dup3,
  epoll_create1,
  epoll_ctl_add,
  epoll_ctl_del,
  epoll_ctl_mod,
  epoll_pwait2,
  epoll_wait,
  eventfd,
  execve,
  faccessat,
  fcntl,
  fork,
  fstat,
  fstatat,
  getaddrinfo,
  getentropy,
  getpeername,
  getsockname,
  getsockopt,
  ioctl,
  listen,
  lstat,
  malloc,
  open,
  openssl_malloc,
  pidfd_open,
  pidfd_send_signal,
  pipe,
  pipe2,
  poll,
  posix_openpt,
  posix_spawn,
  ppoll,
  prctl,
  pread,
  prlimit,
  pthread_create,
  pwritev2,
  read,
  read_file,
  read_pipe,
  realloc,
  recv,
  recvmsg,
  register_atfork,
  send,
  sendfile,
  sendmsg,
  setgid,
  setgroups,
  setpgid,
  setsid,
  setsockopt,
  setsockopt_linger,
  setsockopt_no_delay,
  setuid,
  shutdown,
  sigaction,
  signalfd,
  socket,
  socketpair,
  splice,
  stat,
  timerfd_create_boottime,
  timerfd_create_monotonic,
  timerfd_create_wall,
  timerfd_settime,
  unlink,
  waitid,
  waitpid,
  write,
  writev,
  last  // a name for none of them
};

inline constexpr std::size_t kCalls = static_cast<std::size_t>(Call::last);

// In the order of Call.
inline constexpr std::array<const char*, kCalls> kNames{
    "accept4",
    "access",
    "bind",
    "calloc",
    "chdir",
    "clone",
    "close",
    "close_range",
    "connect",
    "dup3",
    "epoll_create1",
    "epoll_ctl_add",
    "epoll_ctl_del",
    "epoll_ctl_mod",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd",
    "execve",
    "faccessat",
    "fcntl",
    "fork",
    "fstat",
    "fstatat",
    "getaddrinfo",
    "getentropy",
    "getpeername",
    "getsockname",
    "getsockopt",
    "ioctl",
    "listen",
    "lstat",
    "malloc",
    "open",
    "openssl_malloc",
    "pidfd_open",
    "pidfd_send_signal",
    "pipe",
    "pipe2",
    "poll",
    "posix_openpt",
    "posix_spawn",
    "ppoll",
    "prctl",
    "pread",
    "prlimit",
    "pthread_create",
    "pwritev2",
    "read",
    "read_file",
    "read_pipe",
    "realloc",
    "recv",
    "recvmsg",
    "register_atfork",
    "send",
    "sendfile",
    "sendmsg",
    "setgid",
    "setgroups",
    "setpgid",
    "setsid",
    "setsockopt",
    "setsockopt_linger",
    "setsockopt_no_delay",
    "setuid",
    "shutdown",
    "sigaction",
    "signalfd",
    "socket",
    "socketpair",
    "splice",
    "stat",
    "timerfd_create_boottime",
    "timerfd_create_monotonic",
    "timerfd_create_wall",
    "timerfd_settime",
    "unlink",
    "waitid",
    "waitpid",
    "write",
    "writev",
};
static_assert(kNames.back() != nullptr);

// What the driver reads: a file that is mapped, so that it is there whatever becomes of the
// program, and holds what the children of a fork do as well. Says itself what it holds.
struct Report {
  struct Counted {
    std::array<char, 40> name;
    std::atomic<std::uint64_t> calls;
  };
  std::uint64_t size;  // of `counted`
  std::atomic<std::uint64_t> injected;
  std::atomic<std::int64_t> blocks;  // of memory, allocated and not freed
  std::atomic<std::int64_t> bytes;   // in them
  std::array<Counted, kCalls> counted;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "signal handlers use it");

// A shortage of memory that goes on passes after so many failures: what must not be lost, such as
// what a thread tells its base, is tried again until there is memory.
inline constexpr std::uint64_t kLongestShortage = 500;

// From the environment: EVENT_FAULT=name:errno:n lets the n-th such call fail, and with a + after n
// all from that one on; EVENT_FAULT_REPORT names the file.
struct Plan {
  Call call = Call::last;
  int error = 0;
  std::uint64_t nth = 0;
  bool from_then_on = false;
};

// Counts the call, and says whether it is to fail; errno is set then. Nothing fails before main
// begins or after it has returned. Thread-safety: any thread, any signal handler.
bool fails(Call call) noexcept;

// Counts blocks of memory, but not those of a child, which ends with what it has got.
void count_memory(std::int64_t blocks, std::int64_t bytes) noexcept;
void be_child() noexcept;

}  // namespace event_cpp::faults
