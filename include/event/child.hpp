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

// Waits for a child process that the program has started itself, and does not own it, as
// net::Process does which starts one. Runs a callback once, with the status of waitpid(2), when the
// child has ended, and reaps it: no zombie is left. The child may have ended before attach(). The
// status is -1, which is neither WIFEXITED nor WIFSIGNALED, if it is lost: other code has reaped
// the child, or the kernel has because SIGCHLD is ignored or has SA_NOCLDWAIT. While a debugger
// traces the child, the status comes when the debugger has seen the end.
//
// On Linux it uses a pidfd, on the kqueue backend EVFILT_PROC, and does not touch SIGCHLD. In these
// cases it watches SIGCHLD, as Signal does, while it is attached:
//   - with Report::stops
//   - where the kernel has neither, or a container forbids it
//   - on systems that do not watch a process that has ended already
//   - on backends other than epoll, when the child has ended and is still traced
// An ignored SIGCHLD is not ignored then.
//
// Between fork(2) and exec(3) the child should call reset_signals().
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: as Event's; destroying it
// leaves the process, and its zombie, alone.
class EVENT_API Child : private Event {
 public:
  enum class Report : std::uint8_t {
    end,   // how the child ended
    stops  // also that it was stopped (WIFSTOPPED) or has gone on (WIFCONTINUED), each time
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
  // stopped or goes on, and the Child stays attached until the child has ended. Changes that come
  // faster than the callback runs become one.
  // Errors: throws std::system_error and changes nothing:
  //   Errc::already_attached   it is attached
  //   EINVAL                   the number is not positive
  //   EBUSY                    another Child, on any base, is attached to this process
  //   ECHILD                   this process has no such child, or has reaped it. If SIGCHLD is
  //                            ignored, an unused ID is taken for a child that the kernel reaped
  //   the system's own         EMFILE, ENFILE, ENOMEM ...
  // Cost: three system calls, and four more when the child has ended.
  // See pidfd_open(2), waitid(2).
  void attach(Report report = Report::end) &;

  // The same, with the error returned.
  [[nodiscard]] std::error_code try_attach(Report report = Report::end) & noexcept;

  // The same with a descriptor of the child, as CLONE_PIDFD of clone(2) gives one, instead of one
  // of its own: a system call. The descriptor is not owned, and stays open while this is attached.
  // The child may have been reaped. Linux.
  [[nodiscard]] std::error_code try_attach_pidfd(int pidfd) & noexcept;

  // Stops waiting; the child lives on, and must be reaped by somebody else. Returns false if it was
  // not attached, so also after the callback has run.
  bool detach() noexcept;

  // Sends the child a signal; 0 only tests whether it exists. Another process that got the same ID
  // later is never hit: on Linux because of the pidfd, elsewhere as long as no other code reaps
  // this child. A child that has ended and whose callback has not run takes any signal, without
  // effect.
  // Errors: throws std::system_error: ESRCH if it is not attached, so also after it has ended, or
  // if somebody else has reaped it; EINVAL, EPERM as by kill(2).
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

// For the child of a fork(2) or vfork(2), before exec(3): gives every signal its default
// disposition and blocks none. A new program inherits which signals are ignored and which are
// blocked, and few expect any. Leaves errno and the parent alone.
// Thread-safety: async-signal-safe. Cost: a system call for each signal there is.
// See sigaction(2), execve(2), POSIX_SPAWN_SETSIGDEF of posix_spawn(3).
EVENT_API void reset_signals() noexcept;

}  // namespace event_cpp
