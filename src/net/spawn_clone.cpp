// Linux: a child that borrows the memory of its parent until its program runs.
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>

#include "base/no_cancellation.hpp"
#include "net/become.hpp"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

namespace event_cpp::net::detail {
namespace {

constexpr std::size_t kMaskSize = _NSIG / 8;  // of the kernel's signal mask, in bytes
using Mask = std::array<unsigned char, kMaskSize>;

// System calls alone. The functions of the C library are not for a child that shares the memory of
// a process with threads: setuid(3) would have all of these do the same, sigaction(3) keeps what
// sanitizers are told. No signal may be handled before the handlers are gone: they would run in
// the memory of the parent.
struct SystemCalls {
  template <class... Args>
  EVENT_IN_CHILD static int call(long number, Args... args) noexcept {
    const long result = ::syscall(number, args...);
    return result < 0 ? -errno : static_cast<int>(result);
  }

  EVENT_IN_CHILD static int set_session() noexcept { return call(SYS_setsid); }
  EVENT_IN_CHILD static int set_process_group(pid_t group) noexcept {
    return call(SYS_setpgid, 0, group);
  }
  EVENT_IN_CHILD static int control(int terminal) noexcept {
    return call(SYS_ioctl, terminal, TIOCSCTTY, 0);
  }

  EVENT_IN_CHILD static int duplicate(int from, int to) noexcept {
    return call(SYS_dup3, from, to, 0);
  }
  EVENT_IN_CHILD static int duplicate_above(int from, int least) noexcept {
    return call(kFcntl, from, F_DUPFD_CLOEXEC, least);
  }
  EVENT_IN_CHILD static int keep_over_exec(int fd) noexcept { return call(kFcntl, fd, F_SETFD, 0); }
  EVENT_IN_CHILD static void close_others_by_exec() noexcept {
    constexpr unsigned kCloseByExec = 4;  // CLOSE_RANGE_CLOEXEC
    if (call(SYS_close_range, 3U, ~0U, kCloseByExec) < 0 && !close_listed_by_exec()) {
      close_numbers_by_exec();
    }
  }

  EVENT_IN_CHILD static int set_limit(const Limit& limit) noexcept {
    const std::uint64_t wide[] = {widen(limit.value.rlim_cur), widen(limit.value.rlim_max)};
    return call(SYS_prlimit64, 0, limit.resource, wide, nullptr);
  }
  EVENT_IN_CHILD static int set_groups(std::size_t count, const gid_t* groups) noexcept {
    return call(kSetGroups, count, groups);
  }
  EVENT_IN_CHILD static int set_gid(gid_t gid) noexcept { return call(kSetGid, gid); }
  EVENT_IN_CHILD static int set_uid(uid_t uid) noexcept { return call(kSetUid, uid); }
  EVENT_IN_CHILD static int change_directory(const char* path) noexcept {
    return call(SYS_chdir, path);
  }
  EVENT_IN_CHILD static void set_umask(mode_t mask) noexcept { call(SYS_umask, mask); }
  EVENT_IN_CHILD static int set_death_signal(int signo) noexcept {
    return call(SYS_prctl, PR_SET_PDEATHSIG, signo, 0, 0, 0);
  }

  // Gives signals their default actions, and then lets them come.
  EVENT_IN_CHILD static void set_signals(bool reset_ignored) noexcept {
    // Larger than the kernel's structure on any machine. All of it zero means the default, on any.
    using Action = unsigned long[20];
    const Action by_default{};
    Action before{};
    for (int signo = 1; signo < _NSIG; ++signo) {
      if (call(SYS_rt_sigaction, signo, by_default, before, kMaskSize) < 0) continue;
      if (ignores(before) && !reset_ignored && signo != SIGPIPE) {
        call(SYS_rt_sigaction, signo, before, nullptr, kMaskSize);
      }
    }
    const unsigned char none[kMaskSize] = {};
    call(SYS_rt_sigprocmask, SIG_SETMASK, none, nullptr, kMaskSize);
  }

  EVENT_IN_CHILD static int execute(const char* path, char* const* arguments,
                                    char* const* environment) noexcept {
    return call(SYS_execve, path, arguments, environment);
  }

 private:
#ifdef SYS_fcntl64
  static constexpr long kFcntl = SYS_fcntl64;
#else
  static constexpr long kFcntl = SYS_fcntl;
#endif
  // With IDs of 32 bits.
#ifdef SYS_setuid32
  static constexpr long kSetGroups = SYS_setgroups32;
  static constexpr long kSetGid = SYS_setgid32;
  static constexpr long kSetUid = SYS_setuid32;
#else
  static constexpr long kSetGroups = SYS_setgroups;
  static constexpr long kSetGid = SYS_setgid;
  static constexpr long kSetUid = SYS_setuid;
#endif

  EVENT_IN_CHILD static std::uint64_t widen(rlim_t value) noexcept {
    return value == RLIM_INFINITY ? ~std::uint64_t{0} : value;
  }

  EVENT_IN_CHILD static bool ignores(const unsigned long* action) noexcept {
#ifdef __mips__
    constexpr int kHandler = 1;
#else
    constexpr int kHandler = 0;
#endif
    return action[kHandler] == 1;  // SIG_IGN
  }

  // For kernels before 5.11. Returns false if the system does not list them.
  EVENT_IN_CHILD static bool close_listed_by_exec() noexcept {
    struct Entry {  // of getdents64(2)
      std::uint64_t inode;
      std::int64_t offset;
      unsigned short size;
      unsigned char type;
      char name[1];
    };
    const int list =
        call(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (list < 0) return false;
    alignas(Entry) char entries[1024];
    for (;;) {
      const int size = call(SYS_getdents64, list, entries, sizeof entries);
      if (size <= 0) break;
      for (int at = 0; at < size;) {
        const auto* const entry = reinterpret_cast<const Entry*>(entries + at);
        int fd = 0;
        const char* digit = entry->name;
        for (; *digit >= '0' && *digit <= '9'; ++digit) fd = fd * 10 + (*digit - '0');
        if (*digit == '\0' && fd > 2) call(kFcntl, fd, F_SETFD, FD_CLOEXEC);
        at += entry->size;
      }
    }
    call(SYS_close, list);
    return true;
  }

  EVENT_IN_CHILD static void close_numbers_by_exec() noexcept {
    std::uint64_t limit[2] = {1024, 0};
    call(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, limit);
    for (int fd = 3; static_cast<std::uint64_t>(fd) < limit[0] && fd < INT32_MAX; ++fd) {
      call(kFcntl, fd, F_SETFD, FD_CLOEXEC);
    }
  }
};

struct Birth {
  const Plan* plan;
  Failure failure;
};

EVENT_IN_CHILD int live(void* data) noexcept {
  auto* const birth = static_cast<Birth*>(data);
  birth->failure = Become<SystemCalls>::run(*birth->plan);
  SystemCalls::call(SYS_exit_group, 127);
  return 127;
}

// Those that the C library uses for itself included.
class AllSignalsBlocked {
 public:
  AllSignalsBlocked() noexcept {
    Mask all;
    all.fill(0xff);
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, all.data(), before_.data(), kMaskSize);
  }
  ~AllSignalsBlocked() {
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, before_.data(), nullptr, kMaskSize);
  }
  AllSignalsBlocked(const AllSignalsBlocked&) = delete;
  AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

 private:
  Mask before_{};
};

}  // namespace

Failure spawn_by_clone(const Plan& plan, Started& started) noexcept {
  // The child's. It needs a page, and no signal handler runs on it.
  constexpr std::size_t kStack = std::size_t{16} << 10;
  alignas(16) char stack[kStack];
  Birth birth{&plan, {}};
  int pidfd = -1;
  int error = 0;
  const event_cpp::detail::NoCancellation whole;
  {
    const AllSignalsBlocked blocked;
    started.pid = ::clone(&live, stack + kStack, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD,
                          &birth, &pidfd);
    error = errno;
  }
  if (started.pid < 0) {
    // It may be that a filter of system calls knows fork(2) alone.
    if (error == ENOSYS || error == EPERM || error == EINVAL) return spawn_by_posix(plan, started);
    return {Step::start, error, nullptr};
  }
  started.pidfd = event_cpp::detail::own_internal(pidfd);
  if (birth.failure.error != 0) {
    reap(started.pid);
    started = Started();
  }
  return birth.failure;
}

int signal_by_pidfd(int pidfd, int signo, bool to_group) noexcept {
  constexpr unsigned kProcessGroup = 4;  // PIDFD_SIGNAL_PROCESS_GROUP
  const long result =
      ::syscall(SYS_pidfd_send_signal, pidfd, signo, nullptr, to_group ? kProcessGroup : 0U);
  return result == 0 ? 0 : errno;
}

// See ioctl_pidfs(2): PIDFD_GET_INFO. Since Linux 6.15 it tells of processes that are gone.
int status_by_pidfd(int pidfd) noexcept {
  struct Info {
    std::uint64_t mask;
    std::uint64_t cgroup;
    std::uint32_t ids[11];
    std::int32_t status;
  };
  static_assert(sizeof(Info) == 64);
  constexpr std::uint64_t kExit = 8;
  constexpr unsigned long kGetInfo = _IOWR(0xff, 11, Info);
  Info info{};
  info.mask = kExit;
  if (::ioctl(pidfd, kGetInfo, &info) != 0 || (info.mask & kExit) == 0) return -1;
  return info.status;
}

int set_death_signal(int signo) noexcept { return SystemCalls::set_death_signal(signo); }

}  // namespace event_cpp::net::detail
