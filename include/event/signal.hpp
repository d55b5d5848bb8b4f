// Signal: a callback for a POSIX signal, run by the loop and not by a signal handler.
#pragma once

#include <utility>

#include "event/event_class.hpp"

namespace event_cpp {

// Runs a callback in the base's thread, at the event's priority, after the process has received a
// signal. It is not a signal handler, so it may call anything. Several signals before the callback
// runs count as one, as for pending signals in POSIX. It is persistent. An Event with
// Events::signal and the signal's number as fd does the same; it is one-shot unless it has
// Events::persist.
//
// attach() installs a handler for the process, with SA_RESTART. When the last event on the signal
// is detached or destroyed, on any base, the former disposition is restored, unless other code has
// changed it since. Any number of events and of bases may wait for one signal: all fire. A signal
// that every thread blocks is reported as well if the kernel has signalfd(2).
//
// In these cases the handler does what the former disposition does (ends the process, ignores the
// signal, or calls the former handler):
//   - in a child process before exec(3), after vfork(2) or after a fork(2) without
//     Base::after_fork(). The parent's events do not fire. See also reset_signals().
//   - when no event is attached, because other code had saved this handler and has restored it.
//
// Do not use it for SIGSEGV, SIGFPE, SIGILL or SIGBUS raised by a fault: the fault would repeat.
// Errors of attach(), besides those of Event: EINVAL for an invalid signal number, and for SIGKILL
// and SIGSTOP; EMFILE or ENFILE if no fd is left.
// Cost: three system calls for the first event on a signal, none for later ones. On Linux one fd
// for all signals of a base, from the first one on.
// See sigaction(2), signal-safety(7), signalfd(2).
class Signal : public Event {
 public:
  // `callback` is f(Signal&, int signo), f(Signal&, Events), f(int signo), f(Signal&), f(Events) or
  // f(). One that accepts several of these is called in the first of them.
  template <detail::NumberCallbackOf<Signal> F>
  Signal(Base& base, int signo, F&& callback, Priority priority = Priority::middle)
      : Event(base, signo, Events::signal | Events::persist, std::forward<F>(callback), priority,
              kOps<std::decay_t<F>>) {}

  int signo() const noexcept { return fd(); }

 private:
  template <class F>
  static void call(detail::Node& node, Events fired) {
    auto& self = static_cast<Signal&>(of(node));
    detail::call_back(detail::Stored<F>::get(node.callable), self, fired, self.signo());
  }

  template <class F>
  static constexpr detail::NodeOps kOps = ops_for<F>(&call<F>);
};

}  // namespace event_cpp
