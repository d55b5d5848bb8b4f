#include "event/child.hpp"

#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <utility>

#include "base/no_cancellation.hpp"
#include "base/resource_exhausted.hpp"
#include "base/text.hpp"
#include "event/error.hpp"
#include "loop/loop.hpp"
#include "sys/fork_safe_lock.hpp"
#include "sys/process_fd.hpp"

namespace event_cpp {
namespace {

constexpr int kHighestSignal = 128;  // no system has as many

std::error_code system_error(int error) noexcept { return {error, std::system_category()}; }

// Whether the process is a child of this one that nobody has reaped; `changed` if there is a status
// of it to be had, of the kinds given.
std::error_code look_at_child(pid_t pid, int kinds, bool& changed) noexcept {
  const detail::NoCancellation whole;
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, kinds | WNOHANG | WNOWAIT) != 0) {
    if (errno != EINTR) return system_error(errno);
  }
  changed = info.si_pid == pid;
  return {};
}

// waitpid(2) that does not wait.
pid_t take_status(pid_t pid, int options, int& status) noexcept {
  const detail::NoCancellation whole;
  pid_t reaped = 0;
  do {
    reaped = ::waitpid(pid, &status, WNOHANG | options);
  } while (reaped < 0 && errno == EINTR);
  return reaped;
}

// A child that ends while SIGCHLD is ignored is reaped by the kernel: then nothing of it is left.
bool may_have_been_reaped_by_kernel(pid_t pid) noexcept {
  return detail::Signals::is_former_ignoring_children() && ::kill(pid, 0) != 0 && errno == ESRCH;
}

}  // namespace

// Every Child of this process that is attached, by process ID: of two on one process, one would
// take the status away from the other. Thread-safe.
class detail::AttachedChildren {
 public:
  static AttachedChildren& instance() noexcept {
    static constinit AttachedChildren children;
    return children;
  }

  // Returns false if there is one on the same process.
  bool add(Child& child) noexcept {
    const std::lock_guard lock(lock_);
    if (forked_since(forks_)) {
      first_.fill(nullptr);  // the parent's
      forks_ = fork_count();
    }
    Child*& first = first_[bucket(child)];
    for (const Child* other = first; other != nullptr; other = other->next_) {
      if (other->pid_ == child.pid_) return false;
    }
    child.next_ = std::exchange(first, &child);
    child.forks_ = forks_;
    return true;
  }

  // Requires: it was added in this process.
  void remove(Child& child) noexcept {
    const std::lock_guard lock(lock_);
    Child** at = &first_[bucket(child)];
    while (*at != &child) at = &(*at)->next_;
    *at = child.next_;
  }

 private:
  static constexpr std::size_t kBuckets = 256;

  static std::size_t bucket(const Child& child) noexcept {
    return static_cast<std::size_t>(child.pid_) % kBuckets;
  }

  ForkSafeLock lock_;
  std::uint32_t forks_ = 0;               // guarded by lock_
  std::array<Child*, kBuckets> first_{};  // of a list; guarded by lock_
};

void Child::attach(Report report) & {
  if (const std::error_code error = try_attach(report)) {
    throw std::system_error(error, "event::Child::attach: process " + detail::to_text(pid_));
  }
}

std::error_code Child::try_attach(Report report) & noexcept {
  if (const std::error_code error = add()) return error;
  report_ = report;
  const std::error_code error = begin();
  if (error) let_go();
  return error;
}

std::error_code Child::try_attach_pidfd(int pidfd) & noexcept {
  if (const std::error_code error = add()) return error;
  report_ = Report::end;
  process_ = pidfd;
  owns_process_ = false;
  const std::error_code error = watch_pidfd();
  if (error) let_go();
  return error;
}

// To those that are attached.
std::error_code Child::add() noexcept {
  if (attached()) return Errc::already_attached;
  if (pid_ <= 0) return system_error(EINVAL);
  let_go();  // its base may be gone
  return detail::AttachedChildren::instance().add(*this) ? std::error_code() : system_error(EBUSY);
}

// Begins to wait, by whatever tells of this child.
std::error_code Child::begin() noexcept {
  bool changed = false;
  if (const std::error_code error = look_at_child(pid_, kinds(), changed)) {
    return may_have_been_reaped_by_kernel(pid_) ? watch_end() : error;
  }
  detail::UniqueFd process;
  const int error = detail::open_process_fd(pid_, process);
  if (detail::is_resource_exhausted(error)) return system_error(error);
  process_ = process.release();
  if (error == ESRCH) return watch_end();
  if (report_ == Report::stops) return watch_sigchld();
  if (error != 0) {
    const std::error_code unwatched = watch_process();
    const bool is_final = !unwatched || detail::is_resource_exhausted(unwatched.value());
    return is_final ? unwatched : watch_sigchld();
  }
  return watch_pidfd();
}

std::error_code Child::watch_pidfd() noexcept {
  // On epoll it is readable anew when whoever traces the child lets go of it: see reap().
  const bool edge = node().loop->backend() == Backend::epoll;
  return watch(process_, Events::read | Events::persist | (edge ? Events::edge : Events::none));
}

// The child has ended: the callback runs in the next iteration.
std::error_code Child::watch_end() noexcept { return watch(-1, Events::timeout); }

// By the backend itself. Any error but a shortage says that it must be told in another way: ESRCH
// that the process is about to end, or has.
std::error_code Child::watch_process() noexcept {
  const std::error_code error =
      watch(pid_, Events::signal | Events::persist | detail::Node::kOnProcess);
  if (error) static_cast<void>(watch(-1, Events::none));
  return error;
}

std::error_code Child::watch_sigchld() noexcept {
  const std::error_code error = watch(SIGCHLD, Events::signal | Events::persist);
  if (error) return error;
  bool changed = false;
  // It may have ended before the signal was watched.
  if (look_at_child(pid_, kinds(), changed) || changed) activate(Events::signal);
  return {};
}

std::error_code Child::watch(int fd, Events events) noexcept {
  if (node().in_use()) node().loop->watches().release_before_close(node());
  node().descriptor = fd;
  node().events = events;
  return any(events) ? Event::try_attach() : std::error_code();
}

int Child::kinds() const noexcept {
  return report_ == Report::stops ? WEXITED | WSTOPPED | WCONTINUED : WEXITED;
}

bool Child::detach() noexcept {
  const bool was_attached = attached();
  let_go();
  return was_attached;
}

void Child::let_go() noexcept {
  static_cast<void>(watch(-1, Events::none));
  if (forks_ == 0) return;
  if (!detail::forked_since(forks_)) detail::AttachedChildren::instance().remove(*this);
  forks_ = 0;
  const int process = std::exchange(process_, -1);
  if (std::exchange(owns_process_, true)) const detail::UniqueFd closed(process);
}

// Returns false, and the callback does not run, if there is nothing to report: another child has
// changed, or this one has ended and a debugger that is not its parent has not looked at it yet.
bool Child::reap(int& status) noexcept {
  const int stops = report_ == Report::stops ? WUNTRACED | WCONTINUED : 0;
  const pid_t reaped = take_status(pid_, stops, status);
  if (reaped == 0) {
    // The parent gets SIGCHLD when the debugger lets go. Until then a descriptor would stay ready,
    // but for edges; and a backend that watches the process has reported its end.
    const bool waits_on = any(events() & (Events::signal | Events::edge)) &&
                          !any(events() & detail::Node::kOnProcess);
    if (waits_on || !watch_sigchld()) {
      node().loop->uncount_callback(priority());
      return false;
    }
  }
  if (reaped == pid_ && (WIFSTOPPED(status) || WIFCONTINUED(status))) return true;
  if (reaped != pid_) status = -1;
  let_go();
  return true;
}

void Child::kill(int signo) {
  if (const std::error_code error = try_kill(signo)) {
    throw std::system_error(error, "event::Child::kill: process " + detail::to_text(pid_));
  }
}

std::error_code Child::try_kill(int signo) noexcept {
  if (!attached()) return system_error(ESRCH);
  const int error = process_ >= 0 ? detail::signal_process(process_, signo) : ENOSYS;
  if (error == 0) return {};
  if (error != ENOSYS && error != EPERM) return system_error(error);
  // A filter of system calls may refuse it. The process ID is the child's until it is reaped.
  bool changed = false;
  if (look_at_child(pid_, WEXITED, changed)) return system_error(ESRCH);
  return ::kill(pid_, signo) == 0 ? std::error_code() : system_error(errno);
}

void reset_signals() noexcept {
  const int saved = errno;
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  for (int signo = 1; signo <= kHighestSignal; ++signo) {
    static_cast<void>(::sigaction(signo, &by_default, nullptr));
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  errno = saved;
}

}  // namespace event_cpp
