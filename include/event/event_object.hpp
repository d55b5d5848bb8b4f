// Event: one watch on a descriptor, a time, or both, and the callback to run.
#pragma once

#include <optional>
#include <system_error>
#include <type_traits>

#include "event/detail/export.hpp"
#include "event/detail/node.hpp"
#include "event/error.hpp"
#include "event/events.hpp"
#include "event/time.hpp"

namespace event_cpp {

class Base;
class Event;

namespace detail {

EVENT_API Loop* loop_of(Base& base) noexcept;

template <class F>
concept EventCallback = std::is_invocable_v<F&, Event&, Events> ||
    std::is_invocable_v<F&, Events> || std::is_invocable_v<F&>;

}  // namespace detail

// Runs a callback when a descriptor is ready or a time has passed. One-shot unless
// Events::persist is in its mask: then it is detached just before its callback runs, and may be
// attached again there. Neither copied nor moved, its address is its identity: make it a member of
// what it serves, or wrap it in a unique_ptr.
//
// Thread-safety: belongs to the thread that runs its base; debug builds of the library assert it.
// Lifetime: event and base may go in either order. Destroying an event detaches it, in its own
// callback too; the callback then must not use what it captured any more. The descriptor is not
// owned: detach, or destroy the event, before closing it. Where that was forgotten the event does
// not fire for the next file on the number, but for those that nothing tells from the old one: a
// regular file that got the inode of a deleted one, and, on poll, an eventfd, timerfd
// or the like after another.
// Memory: 56 bytes on 64-bit systems. A callable of up to two pointers is stored inside, a larger
// one is allocated once, by the constructor.
class EVENT_API Event {
 public:
  // Watches `fd` for the conditions in `events`; a negative fd is for events without a descriptor.
  // With Events::signal it is the number of a signal: see Signal. Nothing happens before attach().
  // `callback` is one of
  //   f(Event&, Events fired)   f(Events fired)   f()
  // and `fired` holds only what the event asked for. An exception leaves dispatch().
  // Errors: whatever copying or allocating the callback throws.
  template <detail::EventCallback F>
  Event(Base& base, int fd, Events events, F&& callback, Priority priority = Priority::middle)
      : Event(base, fd, events, std::forward<F>(callback), priority, kOps<std::decay_t<F>>) {}
  ~Event() {
    if (node_.in_use()) release();
    if (node_.ops->destroy != nullptr) node_.ops->destroy(node_.callable);
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // Starts watching. `timeout` counts from this call, never fires early, and counts whether or not
  // Events::timeout is in the mask. Zero means for ever, unless Events::timeout is in the mask:
  // then it expires at once, in the next iteration.
  //
  // A persistent event's timeout starts anew each time it fires, counted from that iteration's
  // time; without a descriptor it is a ticker and keeps its schedule instead. Attaching the same
  // event again means the same open file: a one-shot that fired costs no system call. For another
  // file, also one that got the same number, call assign() first.
  //
  // Errors: throws std::system_error and changes nothing:
  //   Errc::already_attached   it is attached
  //   Errc::invalid_event      nothing to wait for, a negative timeout, a condition of a descriptor
  //                            on a negative one, or a signal and a descriptor at once
  //   Errc::unsupported        an option or a condition that this backend lacks; exclusive together
  //                            with closed or urgent
  //   the system's own         EBADF for a descriptor that is not open, ENOSPC, ENOMEM ...
  // Cost: one system call for a descriptor, at most (two more if its number was closed while it was
  // watched); none for a timer; O(log n) in the timers.
  // See epoll_ctl(2), poll(2).
  void attach(Duration timeout = {});

  // The same, with the error returned.
  [[nodiscard]] std::error_code try_attach(Duration timeout = {}) noexcept;

  // Stops watching; what was already due to run does not run any more. Returns false if the event
  // was not attached. The kernel hears of it before it is next asked for events, so that attaching
  // again before that costs nothing.
  //
  // Cost: O(1), with a timeout O(log n) in the timers.
  bool detach() noexcept;

  // A new timeout, counted from now, while attached; it replaces the one given to attach(), with
  // the same meaning of zero. Moving a deadline later is a store; moving it earlier is O(log n).
  // Errors: throws std::system_error and changes nothing: Errc::invalid_event for a negative time
  // or an event that is not attached; not_enough_memory.
  void rearm(Duration timeout);

  // Watches another descriptor, or another file that has got the same number, from the next
  // attach() on. What was due to run does not run any more. Errors: throws std::system_error,
  // Errc::already_attached, and changes nothing.
  void assign(int fd, Events events);

  // Changes what the event waits for, attached or not: conditions and options, Events::persist
  // included. Its deadline, if there is one, stays; Events::timeout counts from the next attach()
  // on. With no condition left an attached event stays attached, and waits for its timeout alone:
  // so a proxy pauses reading. What was reported but is not asked for any more does not fire. A
  // signal event stays one.
  //
  // The kernel is updated before the next wait: several changes cost one system call, and none if
  // the interest is back to what it was. Errors: throws std::system_error and changes nothing: as
  // attach(). An error of the kernel's own that shows before the next wait leaves dispatch().
  // Cost: O(1).
  // See epoll_ctl(2): EPOLL_CTL_MOD.
  void modify(Events events);

  // The same, with the error returned.
  [[nodiscard]] std::error_code try_modify(Events events) noexcept;

  // Makes the callback run with `fired` added to what it is told, in its priority's turn of the
  // next iteration, attached or not. Conditions that the event did not ask for are passed on as
  // well: the caller may have meanings of its own. Does nothing if `fired` names no condition.
  // Cost: O(1), no system call. Room for 64 is kept, so that it works without memory; the program
  // ends, as by any exception from a noexcept function, if more are activated before the next
  // iteration while there is none.
  void activate(Events fired) noexcept;

  // False: dispatch() may return while this event is attached. True from the start.
  void keep_alive(bool on) noexcept;

  // The base given to the constructor. Requires: it is still alive.
  Base& base() const noexcept;
  int fd() const noexcept { return node_.fd(); }
  Events events() const noexcept { return node_.events; }
  // As given to the last attach() or rearm(); zero before.
  Duration timeout() const noexcept { return node_.timeout; }
  bool attached() const noexcept { return node_.attached; }
  // When the timeout expires; nothing if the event is not attached, waits for ever, or is due
  // already and about to run.
  std::optional<TimePoint> deadline() const noexcept;
  Priority priority() const noexcept { return node_.priority; }
  // Counts from the next time the event becomes active. At any time.
  void set_priority(Priority priority) noexcept;

 protected:
  // For a class that brings its own table of operations for its callback.
  template <detail::EventCallback F>
  Event(Base& base, int fd, Events events, F&& callback, Priority priority,
        const detail::NodeOps& ops)
      : node_(&ops, detail::loop_of(base), fd, events, priority) {
    detail::Stored<std::decay_t<F>>::create(node_.callable, std::forward<F>(callback));
  }

  // Nothing of the loop's refers to it any more. Requires: node().in_use().
  void release() noexcept;

  detail::Node& node() noexcept { return node_; }
  const detail::Node& node() const noexcept { return node_; }

  // The event that a node is the whole of: both have the same address.
  static Event& of(detail::Node& node) noexcept { return reinterpret_cast<Event&>(node); }

  template <class F>
  static void call(detail::Node& node, Events fired) {
    F& callback = detail::Stored<F>::get(node.callable);
    if constexpr (std::is_invocable_v<F&, Event&, Events>) {
      callback(of(node), fired);
    } else if constexpr (std::is_invocable_v<F&, Events>) {
      callback(fired);
    } else {
      callback();
    }
  }

  template <class F>
  static constexpr detail::NodeOps ops_for(void (*add_missed)(detail::Node&, std::uint64_t,
                                                              bool) noexcept,
                                           void (*call)(detail::Node&, Events) = &Event::call<F>) {
    return {call, detail::Stored<F>::kTrivial ? nullptr : &detail::Stored<F>::destroy, add_missed};
  }

 private:
  template <class F>
  static constexpr detail::NodeOps kOps = ops_for<F>(nullptr);

  detail::Node node_;
};

static_assert(std::is_standard_layout_v<Event>, "Event::of() relies on it");

static_assert(sizeof(void*) > 8 || sizeof(Event) <= 64, "an event is one cache line");
static_assert(sizeof(void*) != 8 || sizeof(Event) == 56, "smaller than any other library's");

}  // namespace event_cpp
