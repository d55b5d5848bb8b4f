// Signal: a callback for a POSIX signal, run by the loop and not by a signal handler.
#pragma once

#include <utility>

#include "event/event_object.hpp"

namespace event_cpp {

// Runs a callback each time a signal has come since the last one, at its priority, in the base's
// thread, where anything may be done. Signals that come faster than it runs become one, as pending
// signals of one number do anyway. An Event with Events::signal, and the number in the place of the
// descriptor, is the same, one-shot unless it asks for Events::persist.
//
// attach() installs a handler for the process, with SA_RESTART; when the last event on the signal
// is detached or destroyed, on whichever base, the former disposition comes back, unless somebody
// has changed it meanwhile. Any number of events and of bases may wait for one signal: all fire.
// A signal that every thread has blocked arrives as well where the kernel has signalfd(2).
//
// Not for SIGSEGV, SIGFPE, SIGILL and SIGBUS that a fault raises: the fault would be repeated.
// Errors of attach(), beside those of Event: the system's EINVAL for a number that is none, and for
// SIGKILL and SIGSTOP; EMFILE or ENFILE if no descriptor is left.
// Cost: up to three system calls for the first event on a signal, none for later ones.
// See sigaction(2), signal-safety(7), signalfd(2).
class Signal : public Event {
 public:
  template <detail::EventCallback F>
  Signal(Base& base, int signo, F&& callback, Priority priority = Priority::middle)
      : Event(base, signo, Events::signal | Events::persist, std::forward<F>(callback), priority) {}

  int signo() const noexcept { return fd(); }
};

}  // namespace event_cpp
