// Event: waits for a descriptor, a timeout, or both, and runs a callback.
#pragma once

#include <cstddef>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

#include "event/detail/callback.hpp"
#include "event/detail/export.hpp"
#include "event/detail/node.hpp"
#include "event/error.hpp"
#include "event/event_mask.hpp"
#include "event/time.hpp"

namespace event_cpp {

class Base;

namespace detail {

EVENT_API Loop* loop_of(Base& base) noexcept;

}  // namespace detail

// Runs a callback when a file descriptor is ready or a time has passed. One-shot: it is detached
// just before its callback runs, which may attach it again. With Events::persist it stays attached.
// An event can be neither copied nor moved, because its address is its identity: make it a member
// of the object it serves, or hold it in a unique_ptr. A temporary event cannot be attached.
//
// Thread-safety: belongs to the thread that runs its base; debug builds of the library assert it.
// Lifetime: event and base may be destroyed in either order; once the base is gone, only detach(),
// attached() and the destructor may be called. Destroying an event detaches it, in its own callback
// too; the callback must then not use what it captured any more. The descriptor is not owned:
// detach or destroy the event before closing it. If you close first, the event does not fire for
// whatever reuses the fd, except when the two files cannot be told apart:
//   - a regular file that got the inode of a deleted one
//   - on poll, an eventfd, timerfd or the like after another one
// Memory: 56 bytes on 64-bit systems. A callable of up to two pointers is stored inside, a larger
// one is allocated once, by the constructor.
class EVENT_API Event {
 public:
  // Makes an event that waits for the conditions in `events` on `fd`, once attach() is called. A
  // negative fd is for an event without a descriptor. With Events::signal `fd` is the number of a
  // signal: see Signal. Unknown bits of `events` are ignored.
  //
  // `callback` is f(Event&, Events fired), f(Event&), f(Events fired) or f(). One that accepts
  // several of these, such as a generic lambda, is called in the first of them. `fired` holds only
  // conditions of the event, and those that were given to activate(). An exception leaves
  // dispatch(). Errors: throws what copying or allocating the callback throws.
  template <detail::CallbackOf<Event> F>
  Event(Base& base, int fd, Events events, F&& callback, Priority priority = Priority::middle)
      : Event(base, fd, events, std::forward<F>(callback), priority, kOps<Event, std::decay_t<F>>) {
  }
  ~Event() {
    if (node_.in_use()) release();
    if (node_.ops->destroy != nullptr) node_.ops->destroy(node_.callable);
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // Starts watching. `timeout` counts from this call, never fires early, and counts whether or not
  // Events::timeout is in the mask. Three values are special:
  //   zero             no timeout; but with Events::timeout in the mask it expires in the next
  //                    iteration
  //   negative         expires in the next iteration
  //   Duration::max()  never expires, as does any duration that is too long for a Duration
  // The timeout of a persistent event restarts each time the event fires, counted from that
  // iteration's time. A persistent event without a descriptor is a ticker: it keeps its schedule
  // instead, see Ticker.
  //
  // Attaching a one-shot that fired again costs no system call: attach() assumes that the fd still
  // refers to the same open file. If it may not, call assign() first, or attach(fd, events).
  //
  // Errors: throws std::system_error and changes nothing:
  //   Errc::already_attached     it is attached
  //   Errc::nothing_to_wait_for  the event has neither a condition nor a timeout
  //   Errc::descriptor_missing   the event has a condition of a descriptor, but its fd is negative
  //   Errc::unsupported          an option or a condition that this backend lacks; exclusive with
  //                              closed or urgent; a signal with a condition of a descriptor
  //   a system error             EBADF for a descriptor that is not open, ENOSPC, ENOMEM ...
  // Cost: at most one system call for a descriptor (three if the fd was closed while it was
  // registered); none for a timer; O(log n) in the timers; reads the clock if there is a timeout.
  // See epoll_ctl(2), poll(2).
  void attach(AnyDuration timeout = {}) &;

  // The same, with the error returned.
  [[nodiscard]] std::error_code try_attach(AnyDuration timeout = {}) & noexcept;

  // assign(fd, events) and attach(timeout) in one call. Errors: as attach(); then fd() and events()
  // are unchanged.
  void attach(int fd, Events events, AnyDuration timeout = {}) &;
  [[nodiscard]] std::error_code try_attach(int fd, Events events,
                                           AnyDuration timeout = {}) & noexcept;

  // Starts watching, with a timeout that expires at `deadline` of the base's clock. A deadline in
  // the past expires in the next iteration. Does not read the clock, which is half of the cost of
  // attach() for a timer. In a callback attach_at(base.now() + delay) counts from the iteration's
  // time, so that many events share one reading of the clock.
  //
  // The deadline expires once. A persistent event with a descriptor or a signal then stays attached
  // without a timeout; firing earlier does not move the deadline. A persistent event without either
  // fires in every iteration from then on; Ticker::attach_at() takes a period. timeout() is zero.
  // Errors: as attach(). Cost: as attach(), without the clock.
  void attach_at(AnyDeadline deadline) &;
  [[nodiscard]] std::error_code try_attach_at(AnyDeadline deadline) & noexcept;

  // Stops watching. If the callback was about to run, it does not run any more. Returns false if
  // the event was not attached. The kernel is updated before the next wait, so re-attaching before
  // that costs no system call. Cost: O(1); with a timeout O(log n) in the timers.
  bool detach() noexcept;

  // Sets the timeout, counted from now, and attaches the event if it is not attached; so in the
  // callback of a one-shot event this attaches the event again. The special values of `timeout` are
  // those of attach(). Errors: as attach(), except already_attached. Cost: a store to move a
  // deadline later; O(log n) to move it earlier; as attach() if it was not attached.
  void rearm(AnyDuration timeout) &;
  [[nodiscard]] std::error_code try_rearm(AnyDuration timeout) & noexcept;

  // The same with a deadline, as for attach_at(). Does not read the clock. A persistent event
  // without a descriptor keeps its period.
  void rearm_at(AnyDeadline deadline) &;
  [[nodiscard]] std::error_code try_rearm_at(AnyDeadline deadline) & noexcept;

  // Sets the descriptor and conditions for the next attach(). Also needed if the same fd now refers
  // to another open file. If the callback was about to run, it does not run any more. Unknown bits
  // of `events` are ignored.
  // Errors: throws std::system_error, Errc::already_attached, and changes nothing.
  void assign(int fd, Events events);
  [[nodiscard]] std::error_code try_assign(int fd, Events events) noexcept;

  // Changes the conditions and options of the event, including Events::persist, whether it is
  // attached or not:
  //   - its deadline, if there is one, stays; Events::timeout has effect from the next attach() on
  //   - an attached event without a condition stays attached and waits only for its timeout; for
  //     example a proxy pauses reading like this
  //   - a condition that was reported already but is no longer in `events` does not fire
  //   - an event that had no condition fires after the others on its descriptor, as if it was
  //     attached now
  //   - a signal event stays a signal event
  //
  // The kernel is updated before the next wait: several changes cost one system call, and none if
  // the interest is the same again by then. Errors: as attach(): throws std::system_error and
  // changes nothing. If the kernel refuses the change before the next wait, dispatch() throws.
  // Cost: O(1); for an event that had no condition, O(n) in the events on its descriptor.
  // See epoll_ctl(2): EPOLL_CTL_MOD.
  void modify(Events events) &;

  // The same, with the error returned.
  [[nodiscard]] std::error_code try_modify(Events events) & noexcept;

  // Ends the program (std::terminate) if more than 64 events are activated before the next
  // iteration and there is no memory.
  //
  // Makes the callback run in the next iteration, in the order of its priority, with `fired` added
  // to its conditions, whether the event is attached or not. Conditions that are not in events()
  // are passed as well: the caller may give them a meaning of its own. Does nothing if `fired`
  // contains no condition. Not for other threads: see Base::post(). Cost: O(1), no system call.
  void activate(Events fired) & noexcept;

  // If false, dispatch() may return while this event is attached. The default is true.
  void keep_alive(bool on) noexcept;

  // The base given to the constructor. Requires: it is still alive.
  Base& base() const noexcept;
  int fd() const noexcept { return node_.fd(); }
  Events events() const noexcept { return node_.events; }
  // The last timeout that was given to attach() or rearm(). Zero if there was none, if it was
  // negative, and after attach_at() or rearm_at() of an event that is not a ticker.
  Duration timeout() const noexcept {
    return node_.timeout != detail::Node::kAbsolute ? node_.timeout : Duration::zero();
  }
  bool attached() const noexcept { return node_.attached; }
  // When the timeout expires. No value if the event is not attached, waits without a timeout, or is
  // due and about to run.
  std::optional<TimePoint> deadline() const noexcept;
  Priority priority() const noexcept { return node_.priority; }
  // May be called at any time; takes effect the next time the event becomes active.
  void set_priority(Priority priority) noexcept;

 protected:
  // For a class derived from Event: `kFunction` is called instead of a stored callback. It gets the
  // event, and casts it to the derived class.
  //
  //   class Stream : public Event {
  //    public:
  //     Stream(Base& base, int fd) : Event(base, fd, Events::read, Calls<&Stream::ready>()) {}
  //    private:
  //     static void ready(Event& event, Events fired) { static_cast<Stream&>(event).read(fired); }
  //   };
  //
  // Such an event may be activate()d without ever being attached, and its function may destroy it.
  // A derived class that owns its descriptor must call detach() before it closes it. Cost: no
  // allocation, and one indirect call each time it fires.
  template <void (*kFunction)(Event& event, Events fired)>
  struct Calls {};

  template <void (*kFunction)(Event&, Events)>
  Event(Base& base, int fd, Events events, Calls<kFunction> /*function*/,
        Priority priority = Priority::middle) noexcept
      : node_(&kFunctionOps<kFunction>, detail::loop_of(base), fd, events, priority) {}

  // For an event that was made with Calls: kRoom bytes, aligned for a pointer, where otherwise the
  // callback is stored. The library neither initializes nor destroys them.
  static constexpr std::size_t kRoom = sizeof(detail::Storage);
  void* room() noexcept { return node_.callable.bytes; }

  // What follows is for the library's own classes.

  // For a class with a table of operations of its own.
  template <class F>
  Event(Base& base, int fd, Events events, F&& callback, Priority priority,
        const detail::NodeOps& ops)
      : node_(&ops, detail::loop_of(base), fd, events, priority) {
    detail::Stored<std::decay_t<F>>::create(node_.callable, std::forward<F>(callback));
  }

  // Unregisters it from the loop. Requires: node().in_use().
  void release() noexcept;

  detail::Node& node() noexcept { return node_; }
  const detail::Node& node() const noexcept { return node_; }

  // The event that consists of this node: both have the same address.
  static Event& of(detail::Node& node) noexcept { return reinterpret_cast<Event&>(node); }

  // Calls back as Self, the class of the event.
  template <class Self, class F>
  static void call(detail::Node& node, Events fired) {
    detail::call_back(detail::Stored<F>::get(node.callable), static_cast<Self&>(of(node)), fired);
  }

  template <class F>
  static constexpr detail::NodeOps ops_for(void (*call)(detail::Node&, Events),
                                           detail::NodeKind kind = detail::NodeKind::event,
                                           void (*add_missed)(detail::Node&, std::uint64_t,
                                                              bool) noexcept = nullptr) {
    return {call, detail::Stored<F>::kDestroy, kind, add_missed};
  }

  template <class Self, class F>
  static constexpr detail::NodeOps kOps = ops_for<F>(&call<Self, F>);

 private:
  template <void (*kFunction)(Event&, Events)>
  static void call_function(detail::Node& node, Events fired) {
    kFunction(of(node), fired);
  }
  template <void (*kFunction)(Event&, Events)>
  static constexpr detail::NodeOps kFunctionOps{&call_function<kFunction>, nullptr,
                                                detail::NodeKind::event, nullptr};

  detail::Node node_;
};

static_assert(std::is_standard_layout_v<Event>, "Event::of() relies on it");

static_assert(sizeof(void*) > 8 || sizeof(Event) <= 64, "an event is one cache line");
static_assert(sizeof(void*) != 8 || sizeof(Event) == 56, "as documented above");

}  // namespace event_cpp
