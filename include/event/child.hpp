// Child: a callback for the end of a child process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <system_error>
#include <utility>

#include "event/event_object.hpp"

namespace event_cpp {

// Runs a callback once, with the status of waitpid(2), when a child process has ended, and reaps
// it: no zombie is left. A child that has ended already is fine. The status is -1, which is neither
// WIFEXITED nor WIFSIGNALED, if it cannot be known: somebody else has reaped the child, or SIGCHLD
// is ignored.
//
// On Linux this is a pidfd, on the BSDs and macOS a kqueue: SIGCHLD is left alone. Where there is
// none, or a container forbids it, SIGCHLD is watched while a Child is attached, as by Signal.
//
// Thread-safety: belongs to the thread that runs its base. Lifetime: as Event's; destroying it
// leaves the process, and its zombie, alone.
class EVENT_API Child : private Event {
 public:
  // `callback` is f(Child&, int status), f(Child&, Events), f(int status), f(Child&), f(Events) or
  // f(); the events are Events::signal. One that accepts several of these is called in the first of
  // them.
  template <detail::NumberCallbackOf<Child> F>
  Child(Base& base, pid_t pid, F&& callback, Priority priority = Priority::middle)
      : Event(base, -1, Events::none, std::forward<F>(callback), priority, kOps<std::decay_t<F>>),
        pid_(pid) {}
  ~Child() { detach(); }

  // Starts waiting for the child.
  // Errors: throws std::system_error and changes nothing:
  //   Errc::already_attached   it is attached
  //   EINVAL                   the number is not positive
  //   ECHILD                   this process has no such child, or has reaped it
  //   the system's own         EMFILE, ENFILE, ENOMEM ...
  // Cost: three system calls, and three more when the child has ended.
  // See pidfd_open(2), waitid(2).
  void attach() &;

  // The same, with the error returned.
  [[nodiscard]] std::error_code try_attach() & noexcept;

  // Stops waiting; the child lives on, and must be reaped by somebody else. Returns false if it was
  // not attached, so also after the callback has run.
  bool detach() noexcept;

  pid_t pid() const noexcept { return pid_; }
  using Event::attached;
  using Event::base;
  using Event::keep_alive;
  using Event::priority;
  using Event::set_priority;

 private:
  template <class F>
  static void call(detail::Node& node, Events) {
    auto& self = static_cast<Child&>(of(node));
    int status = 0;
    if (!self.reap(status)) return;
    detail::call_back(detail::Stored<F>::get(node.callable), self, Events::signal, status);
  }

  template <class F>
  static constexpr detail::NodeOps kOps = ops_for<F>(&call<F>);

  void watch(int fd, Events events) noexcept;
  void let_go() noexcept;
  bool reap(int& status) noexcept;

  pid_t pid_;
  std::uint32_t forks_ = 0;  // as counted when it was attached
};

}  // namespace event_cpp
