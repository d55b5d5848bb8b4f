// The event of a socket: who waits for it to be readable or writable.
#pragma once

#include <cassert>
#include <cerrno>
#include <cstdint>
#include <new>

#include "event/event_class.hpp"
#include "event/net/detail/stream_ops.hpp"
#include "event/net/socket.hpp"

namespace event_cpp::net::detail {

// Registered once for its life where the backend has edges; on poll its interest follows who waits.
// A simulated socket is told by its kernel. Keeps two waiters, and what is known of the socket, in
// the room that an event has for a callback.
class EVENT_API SocketEvent : protected Event {
 protected:
  // Takes the socket. Errors: throws std::system_error as Event::attach() does; then it is closed.
  SocketEvent(Base& base, Socket socket);
  ~SocketEvent() { static_cast<void>(release()); }

  // Of Stream.
  void wait_for(Want want, Waiter& new_waiter) noexcept {
    std::uintptr_t& place = slot_of(want);
    assert((waiter(place) == nullptr || waiter(place) == &new_waiter) &&
           "one task or callback waits for each direction");
    place = reinterpret_cast<std::uintptr_t>(&new_waiter) | (place & kFlags);
    if (makes_sense(want)) {
      activate(want == Want::read ? Events::read : Events::write);
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
    const std::uintptr_t left = slots().write & kFlags;
    if (left == 0 || left > kBudget) [[unlikely]]
      return left != 0;  // it has failed
    --slots().write;
    return true;
  }
  Socket release() noexcept;

  // A stream's event without a descriptor is not attached: so this is never a timer's number.
  int fd() const noexcept { return node().descriptor; }
  bool is_simulated() const noexcept { return fd() < kSystem; }
  Kernel* kernel() const noexcept { return is_simulated() ? kernel_of(Event::base()) : nullptr; }

  // What a system call has shown, of a socket that has not failed: of reading or writing so many
  // bytes of those wanted.
  void note_read(std::size_t size, std::size_t wanted) noexcept {
    // A read that does not fill its room has taken all there was, unless the end comes after it:
    // that shows only by reading again.
    std::uintptr_t& flags = slots().read;
    if (size < wanted && (flags & kEnded) == 0) [[likely]]
      flags &= ~kMayRead;
    if (size > 0) moved();
  }
  void note_write(std::size_t size, std::size_t wanted) noexcept {
    if (size < wanted) slots().read |= kBlocked;
    if (size > 0) moved();
  }
  // It would block.
  void note_blocked(Want want) noexcept {
    if (want == Want::read) {
      slots().read &= ~kMayRead;
    } else {
      slots().read |= kBlocked;
    }
  }
  // The kernel reports the error of a connection once, to whichever direction asks first.
  [[gnu::cold]] void note_error(Io io) noexcept;

  // The same of any result, which they return.
  Io noted_read(Io io, std::size_t wanted) noexcept;
  Io noted_write(Io io, std::size_t wanted) noexcept;

  void tear_off() noexcept { slots().read |= kTorn; }
  bool refuses_write() const noexcept {
    return (slots().read & kTorn) != 0 || (slots().write & kFailed) != 0;
  }
  // Requires: refuses_write().
  Io refuse_write() const noexcept;
  bool has_failed() const noexcept { return (slots().write & kFailed) != 0; }
  // Requires: has_failed(). Of both directions.
  Io failure() const noexcept { return kFailures[slots().write & kBudget]; }
  bool timed_out() const noexcept { return (slots().write & kFlags) == kFailed; }
  void set_idle_timeout(Duration limit);

 private:
  // Two waiters, with flags in the low bits of each.
  struct Slots {
    std::uintptr_t read;
    std::uintptr_t write;
  };
  // Of read. Reading may succeed, or fail: so it stays once the connection has failed or is closed.
  static constexpr std::uintptr_t kMayRead = 1;
  static constexpr std::uintptr_t kEnded = 2;    // the peer has ended its direction, or hung up
  static constexpr std::uintptr_t kBlocked = 4;  // writing would block: never then
  static constexpr std::uintptr_t kTorn = 8;
  static constexpr std::uintptr_t kBudget = 7;  // of write: successes before others have a turn
  // The connection has failed. In the place of the budget is then the index of the error in
  // kFailures. The first one is the idle timeout's.
  static constexpr std::uintptr_t kFailed = 8;
  static constexpr std::uintptr_t kFlags = 15;
  static constexpr Io kFailures[] = {-ETIMEDOUT, -ECONNRESET, -ETIMEDOUT, -EHOSTUNREACH,
                                     -ENETUNREACH};
  static_assert(sizeof(Slots) <= kRoom);
  static_assert(alignof(Waiter) > kFlags);

  Slots& slots() noexcept { return *std::launder(static_cast<Slots*>(room())); }
  const Slots& slots() const noexcept { return const_cast<SocketEvent*>(this)->slots(); }
  std::uintptr_t& slot_of(Want want) noexcept {
    return want == Want::read ? slots().read : slots().write;
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
  void call_waiters();
  void call_both(Waiter& reader);
  // Where there are no edges: asks for what somebody waits for and does not have.
  void ask_kernel() noexcept {
    if (!any(events() & Events::edge)) modify_interest();
  }
  void modify_interest() noexcept;
  void fail(std::uintptr_t index) noexcept;
  void drop_waiters() noexcept;
  // From now on, as nothing has to be waited for any more.
  void let_all_try() noexcept { slots().read = (slots().read | kMayRead) & ~kBlocked; }
  // The idle timeout counts from here.
  void moved() noexcept {
    if (node().timeout > Duration::zero()) [[unlikely]]
      static_cast<void>(try_rearm(Event::timeout()));
  }
};

}  // namespace event_cpp::net::detail
