// Child: a callback for the end of a child process.
#pragma once

#include <sys/types.h>

#include <system_error>
#include <utility>

#include "event/event_class.hpp"

namespace event_cpp {

namespace detail {

class AttachedChildren;

}  // namespace detail

// Waits for a child process that the program has started itself. (net::Process starts a child and
// owns it.) When the child has ended, reaps it, so that no zombie is left, and runs a callback once
// with its wait status: see waitpid(2). The child may have ended before attach(). The status is -1,
// which is neither WIFEXITED nor WIFSIGNALED, if it is lost: other code has reaped the child, or
// the kernel has, because SIGCHLD is ignored or has SA_NOCLDWAIT. If a debugger traces the child,
// the callback runs after the debugger has waited for the end.
//
// On Linux it uses a pidfd, on the kqueue backend EVFILT_PROC, and does not change the disposition
// of SIGCHLD. In these cases it handles SIGCHLD, as Signal does, while it is attached; an ignored
// SIGCHLD is then no longer ignored:
//   - with Report::stops
//   - if the kernel has neither, or a container forbids it
//   - on systems that cannot watch a process that has ended already
//   - on backends other than epoll, when the child has ended and is still traced
//
// Between fork(2) and exec(3) the child should call reset_signals().
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: as Event's. Destroying it does
// not affect the process, and does not reap it.
class EVENT_API Child : private Event {
 public:
  enum class Report : std::uint8_t {
    end,   // the end of the child
    stops  // also each time it is stopped (WIFSTOPPED) or continued (WIFCONTINUED)
  };

  // `callback` is f(Child&, int status), f(Child&, Events), f(int status), f(Child&), f(Events) or
  // f(); the events are Events::signal. One that accepts several of these is called in the first of
  // them.
  template <detail::NumberCallbackOf<Child> F>
  Child(Base& base, pid_t pid, F&& callback, Priority priority = Priority::middle)
      : Event(base, -1, Events::none, std::forward<F>(callback), priority, kOps<std::decay_t<F>>),
        pid_(pid) {}
  ~Child() { detach(); }

  // Starts waiting for the child. With Report::stops the callback also runs when the child is
  // stopped or continued, and the Child stays attached until the child has ended. Several changes
  // before the callback runs may be reported as one.
  // Errors: throws std::system_error and changes nothing:
  //   Errc::already_attached   it is attached
  //   EINVAL                   the process ID is not positive
  //   EBUSY                    another Child, on any base, is attached to this process
  //   ECHILD                   the calling process has no such child, or has reaped it. But if
  //                            SIGCHLD is ignored, an unused ID counts as a child that the kernel
  //                            has reaped, and the callback gets -1
  //   a system error           EMFILE, ENFILE, ENOMEM ...
  // Cost: three system calls, and four more when the child has ended.
  // See pidfd_open(2), waitid(2).
  void attach(Report report = Report::end) &;

  // The same, with the error returned.
  [[nodiscard]] std::error_code try_attach(Report report = Report::end) & noexcept;

  // The same with a pidfd of the caller, for example from CLONE_PIDFD of clone(2), instead of
  // opening one. The pidfd is not owned, and must stay open while this is attached. The child may
  // have been reaped already. Linux only. Cost: one system call.
  [[nodiscard]] std::error_code try_attach_pidfd(int pidfd) & noexcept;

  // Stops waiting. The child keeps running, and other code must reap it. Returns false if it was
  // not attached, for example because the callback has run.
  bool detach() noexcept;

  // Sends the child a signal; 0 only tests whether the child exists. Another process that reuses
  // the process ID is never signalled: on Linux because of the pidfd, elsewhere as long as no other
  // code reaps this child. For a child that has ended and whose callback has not run, the call
  // succeeds without effect.
  // Errors: throws std::system_error: ESRCH if this is not attached (so also after the callback
  // has run), or if other code has reaped the child; EINVAL, EPERM as for kill(2).
  // Cost: a system call. See pidfd_send_signal(2), kill(2).
  void kill(int signo);

  // The same, with the error returned.
  [[nodiscard]] std::error_code try_kill(int signo) noexcept;

  pid_t pid() const noexcept { return pid_; }
  using Event::attached;
  using Event::base;
  using Event::keep_alive;
  using Event::priority;
  using Event::set_priority;

 private:
  friend class detail::AttachedChildren;

  template <class F>
  static void call(detail::Node& node, Events) {
    auto& self = static_cast<Child&>(of(node));
    int status = 0;
    if (!self.reap(status)) return;
    detail::call_back(detail::Stored<F>::get(node.callable), self, Events::signal, status);
  }

  template <class F>
  static constexpr detail::NodeOps kOps = ops_for<F>(&call<F>);

  std::error_code add() noexcept;
  std::error_code begin() noexcept;
  std::error_code watch_pidfd() noexcept;
  std::error_code watch_end() noexcept;
  std::error_code watch_process() noexcept;
  std::error_code watch_sigchld() noexcept;
  std::error_code watch(int fd, Events events) noexcept;
  int kinds() const noexcept;
  void let_go() noexcept;
  bool reap(int& status) noexcept;

  pid_t pid_;
  std::uint32_t forks_ = 0;  // as counted when it was attached; 0: it is not
  int process_ = -1;         // a descriptor of the process; -1: none
  Report report_ = Report::end;
  bool owns_process_ = true;
  Child* next_ = nullptr;  // in a list of those attached
};

// Call it in the child of a fork(2) or vfork(2), before exec(3): gives every signal its default
// disposition and blocks none. A new program inherits ignored and blocked signals, and few programs
// expect any. Does not change errno, nor the parent's signals.
// Thread-safety: async-signal-safe. Cost: one system call for each signal.
// See sigaction(2), execve(2), POSIX_SPAWN_SETSIGDEF of posix_spawn(3).
EVENT_API void reset_signals() noexcept;

}  // namespace event_cpp
