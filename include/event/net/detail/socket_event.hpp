// SocketEvent: the event of a socket, with one waiter for each direction.
#pragma once

#include <cassert>
#include <cerrno>
#include <cstdint>
#include <new>

#include "event/event_class.hpp"
#include "event/net/detail/stream_ops.hpp"
#include "event/net/socket.hpp"

namespace event_cpp::net::detail {

// On an edge-triggered backend it is registered once for its life; on poll its interest follows the
// waiters. A simulated socket gets its readiness from its Kernel. The two waiters, and flags with
// the known state of the socket, are stored in Event::room().
class EVENT_API SocketEvent : protected Event {
 protected:
  // Takes ownership of the socket. Errors: throws std::system_error as Event::attach() does; then
  // the socket is closed.
  SocketEvent(Base& base, Socket socket);
  ~SocketEvent() { static_cast<void>(release()); }

  // Implement Stream::wait(), unwait() and may().
  void wait_for(Want want, Waiter& new_waiter) noexcept {
    assert((waiter(slot_of(want)) == nullptr || waiter(slot_of(want)) == &new_waiter) &&
           "one task or callback waits for each direction");
    put(want, new_waiter);
    if (makes_sense(want)) {
      activate(kTurn);
    } else {
      ask_kernel();
    }
  }
  Waiter* forget(Want want) noexcept {
    std::uintptr_t& place = slot_of(want);
    Waiter* const before = waiter(place);
    place &= kFlags;
    return before;
  }
  bool may_try(Want want) noexcept {
    if (!makes_sense(want)) return false;
    // Between 1 and kBudget. Else none is left, or it has failed: there is no budget then, and each
    // operation has a turn of its own.
    if ((slots().write & kFlags) - 1 >= kBudget) [[unlikely]]
      return false;
    --slots().write;
    return true;
  }
  Socket release() noexcept;

  // The event of a closed stream is not attached, so `descriptor` is never the sequence number of a
  // timer: see Node.
  int fd() const noexcept { return node().descriptor; }
  bool is_simulated() const noexcept { return fd() < kSystem; }
  Kernel* kernel() const noexcept { return is_simulated() ? kernel_of(Event::base()) : nullptr; }

  // Note the result of a successful system call: `size` of `wanted` bytes were read or written.
  void note_read(std::size_t size, std::size_t wanted) noexcept {
    // A short read has emptied the socket's buffer. But if the peer has ended, the end of the
    // stream is seen only by reading again.
    std::uintptr_t& flags = slots().read;
    if (size < wanted && (flags & kEnded) == 0) [[likely]]
      flags &= ~kMayRead;
    if (size > 0) moved();
  }
  void note_write(std::size_t size, std::size_t wanted) noexcept {
    if (size < wanted) slots().read |= kBlocked;
    if (size > 0) moved();
  }
  // Note that a system call returned EAGAIN.
  void note_blocked(Want want) noexcept {
    if (want == Want::read) {
      slots().read &= ~kMayRead;
    } else {
      slots().read |= kBlocked;
    }
  }
  // The peer has shut down its direction or hung up, or this end was shut down for reading.
  bool has_ended() const noexcept { return (slots().read & kEnded) != 0; }
  // Notes an error for both directions: the kernel reports the error of a connection only once.
  [[gnu::cold]] void note_error(Io io) noexcept;

  // Note any result, and return it.
  Io noted_read(Io io, std::size_t wanted) noexcept;
  Io noted_write(Io io, std::size_t wanted) noexcept;

  // After either of these every write fails at once, however full the socket's buffer is.
  void tear_off() noexcept { slots().read = (slots().read | kTorn) & ~kBlocked; }
  void note_shutdown() noexcept {
    slots().read &= ~kBlocked;
    if (waiter(slots().write) != nullptr) activate(kTurn);
  }
  bool refuses_write() const noexcept {
    return (slots().read & kTorn) != 0 || (slots().write & kFailed) != 0;
  }
  // Requires: refuses_write().
  Io refuse_write() const noexcept;
  bool has_failed() const noexcept { return (slots().write & kFailed) != 0; }
  // The error of both directions. Requires: has_failed().
  Io failure() const noexcept { return kFailures[slots().write & kBudget]; }
  bool timed_out() const noexcept { return (slots().write & kFlags) == kFailed; }
  void set_idle_timeout(Duration limit);

 private:
  // Two waiters, with flags in the low bits of each.
  struct Slots {
    std::uintptr_t read;
    std::uintptr_t write;
  };
  // Flags in `read`. kMayRead: reading will not block. Stays set once the connection has failed or
  // is closed; kBlocked stays clear then.
  static constexpr std::uintptr_t kMayRead = 1;
  static constexpr std::uintptr_t kEnded = 2;    // the peer has shut down its direction, or hung up
  static constexpr std::uintptr_t kBlocked = 4;  // writing would block
  static constexpr std::uintptr_t kTorn = 8;
  // In `write`: the successes that are left before other callbacks run. With an idle timeout: all
  // of them as long as no byte has moved in this turn.
  static constexpr std::uintptr_t kBudget = 7;
  // In `write`: the connection has failed. The bits of kBudget are then the index of the error in
  // kFailures, whose first entry is the idle timeout.
  static constexpr std::uintptr_t kFailed = 8;
  static constexpr std::uintptr_t kFlags = 15;
  // This activates itself with kTurn, to call a waiter in the next iteration. It does not change
  // the known state of the socket: the buffer may be emptied or filled until then. The backends
  // never report it for a socket.
  static constexpr Events kTurn = Events::signal;
  // Beside kTurn: if both directions are due, the writer comes first.
  static constexpr Events kWriterFirst = Events::urgent;
  static constexpr Io kFailures[] = {-ETIMEDOUT,   -ECONNRESET,   -ETIMEDOUT, -EHOSTUNREACH,
                                     -ENETUNREACH, -ECONNABORTED, -EHOSTDOWN};
  static_assert(sizeof(Slots) <= kRoom);
  static_assert(alignof(Waiter) > kFlags);

  Slots& slots() noexcept { return *std::launder(static_cast<Slots*>(room())); }
  const Slots& slots() const noexcept { return const_cast<SocketEvent*>(this)->slots(); }
  std::uintptr_t& slot_of(Want want) noexcept {
    return want == Want::read ? slots().read : slots().write;
  }
  void put(Want want, Waiter& waiter) noexcept {
    std::uintptr_t& place = slot_of(want);
    place = reinterpret_cast<std::uintptr_t>(&waiter) | (place & kFlags);
  }
  bool makes_sense(Want want) const noexcept {
    return (slots().read & (want == Want::read ? kMayRead : kBlocked)) ==
           (want == Want::read ? kMayRead : 0);
  }
  static Waiter* waiter(std::uintptr_t slot) noexcept {
    return reinterpret_cast<Waiter*>(slot & ~kFlags);
  }

  static void fire(Event& event, Events fired) { static_cast<SocketEvent&>(event).on(fired); }
  void on(Events fired);
  void on_more(Events fired);
  void call_waiters(bool writer_first);
  void call_both(Waiter& reader, Waiter& writer, bool writer_first);
  // On a level-triggered backend: sets the interest to the conditions that waiters need.
  void ask_kernel() noexcept {
    if (!any(events() & Events::edge)) modify_interest();
  }
  void modify_interest() noexcept;
  // The limit of the idle timeout has passed without readiness.
  void note_silence() noexcept;
  bool is_due(Want want) const noexcept;
  void fail(std::uintptr_t index) noexcept;
  // Until set_idle_timeout() is called again.
  void stop_timeout() noexcept;
  void drop_waiters() noexcept;
  // Makes both directions ready, since no wait would end any more.
  void let_all_try() noexcept { slots().read = (slots().read | kMayRead) & ~kBlocked; }
  void moved() noexcept {
    if (node().timeout > Duration::zero()) [[unlikely]]
      restart_timeout();
  }
  void restart_timeout() noexcept;
};

}  // namespace event_cpp::net::detail
