// Any POSIX system: posix_spawn(3) for what it can do, fork(2) for the rest.
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <vector>

#include "base/no_cancellation.hpp"
#include "net/become.hpp"
#include "net/make_pipe.hpp"

// Which of the extensions of posix_spawn(3) there are: close the others, change the directory.
#if defined(__linux__) && defined(__GLIBC_PREREQ)
#if __GLIBC_PREREQ(2, 34)
#define EVENT_SPAWN_CLOSES_FROM 1
#endif
#if __GLIBC_PREREQ(2, 29)
#define EVENT_SPAWN_CHANGES_DIRECTORY 1
#endif
#endif

namespace event_cpp::net::detail {

void reap(pid_t pid) noexcept {
  const event_cpp::detail::NoCancellation whole;
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
}

namespace {

constexpr int kMostSignals = 128;  // more than any system has

// A directory may be entered without being read.
#ifdef O_PATH
constexpr int kToLookIn = O_PATH;
#else
constexpr int kToLookIn = O_RDONLY;
#endif

// What posix_spawn(3) cannot be told, on this system or on any.
bool needs_fork(const Plan& plan) noexcept {
  if (plan.terminal >= 0 || plan.limit_count > 0 || plan.has_umask || plan.has_groups ||
      plan.has_gid || plan.has_uid || plan.parent_death_signal != 0) {
    return true;
  }
#ifndef POSIX_SPAWN_SETSID
  if (plan.group == Command::Group::session) return true;
#endif
#ifndef EVENT_SPAWN_CHANGES_DIRECTORY
  if (plan.directory != nullptr) return true;
#endif
#if defined(EVENT_SPAWN_CLOSES_FROM)
  // It closes a number and all above it: those that are kept must have no gaps.
  if (plan.close_others && static_cast<int>(plan.move_count) != plan.first_free) return true;
#elif !defined(POSIX_SPAWN_CLOEXEC_DEFAULT)
  if (plan.close_others) return true;
#endif
  return false;
}

// 0 if it can be run.
int why_not_run(int directory, const char* path) noexcept {
  struct stat status {};
  if (::fstatat(directory, path, &status, 0) != 0) return errno;
  if (!S_ISREG(status.st_mode)) return EACCES;
  return ::faccessat(directory, path, X_OK, AT_EACCESS) == 0 ? 0 : errno;
}

// The first candidate that can be run; else the error of the search.
Failure find_program(const Plan& plan, const char*& program) noexcept {
  UniqueFd directory;
  if (plan.directory != nullptr) {
    directory = UniqueFd(::open(plan.directory, kToLookIn | O_DIRECTORY | O_CLOEXEC));
    const bool is_shortage = !directory && (errno == EMFILE || errno == ENFILE);
    if (is_shortage) return {Step::directory, errno, plan.directory};
    struct stat status {};
    const bool can_enter = ::access(plan.directory, X_OK) == 0;
    if (!can_enter) return {Step::directory, errno, plan.directory};
    if (::stat(plan.directory, &status) == 0 && !S_ISDIR(status.st_mode)) {
      return {Step::directory, ENOTDIR, plan.directory};
    }
  }
  const int from = directory ? directory.get() : AT_FDCWD;
  Failure failure;
  for (const char* const* path = plan.candidates; *path != nullptr; ++path) {
    const int error = why_not_run(from, *path);
    if (error == 0) {
      program = *path;
      return {};
    }
    if (!search_failed(error, *path, failure)) break;  // it is not known whether it is there
  }
  return failure;
}

// The arguments of posix_spawn(3).
class SpawnArguments {
 public:
  SpawnArguments() noexcept {
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawn_file_actions_init(&actions_);
  }
  ~SpawnArguments() {
    ::posix_spawnattr_destroy(&attributes_);
    ::posix_spawn_file_actions_destroy(&actions_);
  }
  SpawnArguments(const SpawnArguments&) = delete;
  SpawnArguments& operator=(const SpawnArguments&) = delete;

  // Returns a failure if there is no memory or no descriptor left. Errors: throws std::bad_alloc.
  Failure fill(const Plan& plan) {
    set_attributes(plan);
    Failure failure = add_moves(plan);
    int error = failure.error;
#ifdef EVENT_SPAWN_CLOSES_FROM
    if (error == 0 && plan.close_others) {
      error = ::posix_spawn_file_actions_addclosefrom_np(&actions_, plan.first_free);
    }
#endif
#ifdef EVENT_SPAWN_CHANGES_DIRECTORY
    if (error == 0 && plan.directory != nullptr) {
      error = ::posix_spawn_file_actions_addchdir_np(&actions_, plan.directory);
    }
#endif
    failure.error = error;
    return failure;
  }

  int spawn(const char* program, const Plan& plan, pid_t& pid) const noexcept {
    return ::posix_spawn(&pid, program, &actions_, &attributes_, plan.arguments, plan.environment);
  }

 private:
  void set_attributes(const Plan& plan) noexcept {
    int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    sigset_t by_default;
    ::sigemptyset(&by_default);
    if (plan.reset_ignored_signals) ::sigfillset(&by_default);
    ::sigaddset(&by_default, SIGPIPE);
    ::posix_spawnattr_setsigdefault(&attributes_, &by_default);
    if (plan.group == Command::Group::own || plan.group == Command::Group::join) {
      flags |= POSIX_SPAWN_SETPGROUP;
      ::posix_spawnattr_setpgroup(
          &attributes_, plan.group == Command::Group::join ? plan.process_group : pid_t{0});
    }
#ifdef POSIX_SPAWN_SETSID
    if (plan.group == Command::Group::session) flags |= POSIX_SPAWN_SETSID;
#endif
#ifdef POSIX_SPAWN_CLOEXEC_DEFAULT
    if (plan.close_others) flags |= POSIX_SPAWN_CLOEXEC_DEFAULT;
#endif
    // Wider where it is a short.
    ::posix_spawnattr_setflags(&attributes_, static_cast<short>(flags));
  }

  // No source is to be overwritten before its turn, and a number that stays what it is may have to
  // be made to survive: both are copied out of the way.
  Failure add_moves(const Plan& plan) {
    copies_.reserve(plan.move_count);
    for (std::size_t i = 0; i < plan.move_count; ++i) {
      const Move& move = plan.moves[i];
      int from = move.from;
      if (from < plan.first_free) {
        copies_.emplace_back(::fcntl(from, F_DUPFD_CLOEXEC, plan.first_free));
        from = copies_.back().get();
        if (from < 0 && errno == EBADF && move.may_be_closed) continue;
        if (from < 0) return {Step::descriptors, errno, nullptr};
      }
      const int error = ::posix_spawn_file_actions_adddup2(&actions_, from, move.to);
      if (error != 0) return {Step::descriptors, error, nullptr};
    }
    return {};
  }

  posix_spawnattr_t attributes_{};
  posix_spawn_file_actions_t actions_{};
  std::vector<UniqueFd> copies_;
};

Failure spawn(const Plan& plan, pid_t& pid) noexcept {
  const char* program = nullptr;
  Failure failure = find_program(plan, program);
  if (program == nullptr) return failure;
  try {
    SpawnArguments arguments;
    failure = arguments.fill(plan);
    if (failure.error != 0) return failure;
    const int error = arguments.spawn(program, plan, pid);
    if (error == 0) return {};
    const bool is_shortage = error == EAGAIN || error == ENOMEM;
    if (error == EBADF) return {Step::descriptors, error, nullptr};
    if (error == EPERM && plan.group != Command::Group::inherit)
      return {Step::group, EPERM, nullptr};
    return {is_shortage ? Step::start : Step::exec, error, is_shortage ? nullptr : program};
  } catch (const std::bad_alloc&) {
    return {Step::start, ENOMEM, nullptr};
  }
}

// For a child of fork(2), which has one thread and memory of its own. Functions of the C library
// that are safe in signal handlers.
struct LibraryCalls {
  static int result(int value) noexcept { return value < 0 ? -errno : value; }

  static int set_session() noexcept { return result(::setsid()); }
  static int set_process_group(pid_t group) noexcept { return result(::setpgid(0, group)); }
  static int control(int terminal) noexcept { return result(::ioctl(terminal, TIOCSCTTY, 0)); }

  static int duplicate(int from, int to) noexcept { return result(::dup2(from, to)); }
  static int duplicate_above(int from, int least) noexcept {
    return result(::fcntl(from, F_DUPFD_CLOEXEC, least));
  }
  static int keep_over_exec(int fd) noexcept { return result(::fcntl(fd, F_SETFD, 0)); }
  static void close_others_by_exec() noexcept {
#ifdef CLOSE_RANGE_CLOEXEC
    if (::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
#endif
    for (int fd = 3; fd <= highest_fd; ++fd) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  }

  static int set_limit(const Limit& limit) noexcept {
    using Resource = decltype(RLIMIT_NOFILE);
    return result(::setrlimit(static_cast<Resource>(limit.resource), &limit.value));
  }
  static int set_groups(std::size_t count, const gid_t* groups) noexcept {
    return result(call_with(::setgroups, count, groups));
  }
  // The count is an int on some systems, and a size_t on others.
  template <class Count>
  static int call_with(int (*set)(Count, const gid_t*), std::size_t count,
                       const gid_t* groups) noexcept {
    return set(static_cast<Count>(count), groups);
  }
  static int set_gid(gid_t gid) noexcept { return result(::setgid(gid)); }
  static int set_uid(uid_t uid) noexcept { return result(::setuid(uid)); }
  static int change_directory(const char* path) noexcept { return result(::chdir(path)); }
  static void set_umask(mode_t mask) noexcept { ::umask(mask); }
  static int set_death_signal(int signo) noexcept { return detail::set_death_signal(signo); }

  static void set_signals(bool reset_ignored) noexcept {
    struct sigaction by_default {};
    by_default.sa_handler = SIG_DFL;
    for (int signo = 1; signo < kMostSignals; ++signo) {
      struct sigaction before {};
      if (::sigaction(signo, nullptr, &before) != 0) continue;
      const bool is_ignored = before.sa_handler == SIG_IGN;
      if (is_ignored && !reset_ignored && signo != SIGPIPE) continue;
      ::sigaction(signo, &by_default, nullptr);
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
  }

  static int execute(const char* path, char* const* arguments, char* const* environment) noexcept {
    return result(::execve(path, arguments, environment));
  }

  // That are open: set before the fork, by the thread that forks.
  static thread_local int highest_fd;
};

thread_local int LibraryCalls::highest_fd = 0;

// Where the system lists the descriptors of a process, of these; else of those that it allows.
int highest_open_fd() noexcept {
  int highest = 0;
  bool is_list = false;
  if (DIR* const list = ::opendir("/dev/fd")) {
    while (const dirent* const entry = ::readdir(list)) {
      const int fd = std::atoi(entry->d_name);
      if (fd == ::dirfd(list)) is_list = true;
      if (fd > highest) highest = fd;
    }
    ::closedir(list);
  }
  return is_list ? highest : static_cast<int>(::sysconf(_SC_OPEN_MAX)) - 1;
}

Failure fork_child(const Plan& plan, pid_t& pid) noexcept {
  UniqueFd reader;
  UniqueFd writer;
  // Beyond what the plan gives the child.
  if (!make_pipe(reader, writer, plan.first_free)) return {Step::pipe, errno, nullptr};
  Failure failure;
  if (plan.close_others) LibraryCalls::highest_fd = highest_open_fd();
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pid = ::fork();
  if (pid == 0) {
    failure = Become<LibraryCalls>::run(plan);
    const ssize_t told = ::write(writer.get(), &failure, sizeof failure);
    ::_exit(told == sizeof failure ? 127 : 126);
  }
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return {Step::start, error, nullptr};
  writer = UniqueFd();
  ssize_t size = 0;
  do {
    size = ::read(reader.get(), &failure, sizeof failure);
  } while (size < 0 && errno == EINTR);
  if (size == 0) return {};  // its program runs
  if (size < 0) {            // nobody knows whether it does
    failure = {Step::start, errno, nullptr};
    ::kill(pid, SIGKILL);
  }
  reap(pid);
  return failure;
}

}  // namespace

Failure spawn_by_posix(const Plan& plan, Started& started) noexcept {
  const event_cpp::detail::NoCancellation whole;
  const Failure failure =
      needs_fork(plan) ? fork_child(plan, started.pid) : spawn(plan, started.pid);
  if (failure.error != 0) started.pid = -1;
  return failure;
}

}  // namespace event_cpp::net::detail
