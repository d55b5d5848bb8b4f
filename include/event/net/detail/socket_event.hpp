// The event of a socket: who waits for it to be readable or writable.
#pragma once

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
  void wait_for(Want want, Waiter& waiter) noexcept;
  Waiter* forget(Want want) noexcept;
  bool may_try(Want want) noexcept;
  Socket release() noexcept;

  int fd() const noexcept { return Event::fd(); }
  bool is_simulated() const noexcept { return fd() < kSystem; }
  Kernel* kernel() const noexcept { return is_simulated() ? kernel_of(Event::base()) : nullptr; }

  // What a system call has shown: of reading or writing so many bytes, or an error.
  void note_read(Io io, std::size_t wanted) noexcept {
    std::uintptr_t& flags = slots().read;
    // A read that does not fill its room has taken all there was, unless the end comes after it:
    // that shows only by reading again.
    const bool took_all = io == -EAGAIN || (io >= 0 && static_cast<std::size_t>(io) < wanted &&
                                            (flags & kEnded) == 0);
    if (took_all) flags &= ~kMayRead;
    if (io > 0) moved();
    if (io < 0) note_error(io);
  }
  void note_write(Io io, std::size_t wanted) noexcept {
    if (io == -EAGAIN || (io >= 0 && static_cast<std::size_t>(io) < wanted)) {
      slots().read |= kBlocked;
    }
    if (io > 0) moved();
    if (io < 0) note_error(io);
  }

  void tear_off() noexcept { slots().read |= kTorn; }
  bool refuses_write() const noexcept {
    return (slots().read & kTorn) != 0 || (slots().write & kFailed) != 0;
  }
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
  static constexpr std::uintptr_t kMayRead = 1;  // of read: reading may succeed
  static constexpr std::uintptr_t kEnded = 2;    // the peer has ended its direction, or hung up
  static constexpr std::uintptr_t kBlocked = 4;  // writing would block
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
  static Waiter* waiter(std::uintptr_t slot) noexcept {
    return reinterpret_cast<Waiter*>(slot & ~kFlags);
  }

  static void fire(Event& event, Events fired) { static_cast<SocketEvent&>(event).on(fired); }
  void on(Events fired);
  void ask_kernel() noexcept;
  // The kernel reports the error of a connection once, to whichever direction asks first.
  void note_error(Io io) noexcept {
    if (io != -EAGAIN && !has_failed()) [[unlikely]]
      keep_error(io);
  }
  [[gnu::cold]] void keep_error(Io io) noexcept;
  // The idle timeout counts from here.
  void moved() noexcept {
    if (Event::timeout() != Duration::zero()) [[unlikely]]
      static_cast<void>(try_rearm(Event::timeout()));
  }
};

}  // namespace event_cpp::net::detail
