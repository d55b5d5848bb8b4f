#include "event/net/detail/socket_event.hpp"

#include <cassert>
#include <cerrno>
#include <iterator>
#include <system_error>
#include <utility>

#include "net/drop_waiters.hpp"

namespace event_cpp::net::detail {
namespace {

Events first_interest(const Base& base, int fd) {
  if (fd < kSystem) return Events::persist;
  if (base.backend() == Backend::poll) return Events::closed | Events::persist;
  return Events::read | Events::write | Events::closed | Events::edge | Events::persist;
}

}  // namespace

SocketEvent::SocketEvent(Base& base, Socket socket)
    : Event(base, socket.fd(), first_interest(base, socket.fd()), Calls<&SocketEvent::fire>()) {
  ::new (room()) Slots{0, kBudget};
  if (is_simulated()) {
    socket.kernel()->watch(fd(), *this);
  } else {
    attach();
  }
  static_cast<void>(socket.release());
}

void SocketEvent::modify_interest() noexcept {
  if (fd() < 0) return;
  const Slots& slot = slots();
  Events interest = Events::persist;
  if ((slot.read & kEnded) == 0) interest |= Events::closed;
  if (waiter(slot.read) != nullptr && (slot.read & kMayRead) == 0) interest |= Events::read;
  if (waiter(slot.write) != nullptr && (slot.read & kBlocked) != 0) interest |= Events::write;
  if (interest != events()) static_cast<void>(try_modify(interest));
}

// Most of the time: readable, writable or both. Calls nothing but the waiter, at its end.
void SocketEvent::on(Events fired) {
  constexpr Events kUsual = Events::read | Events::write | kTurn;
  if (has_failed() || any(fired & ~kUsual) || !any(events() & Events::edge)) [[unlikely]]
    return on_more(fired);
  Slots& slot = slots();
  slot.write |= kBudget;
  if (any(fired & Events::read)) slot.read |= kMayRead;
  if (any(fired & Events::write)) slot.read &= ~kBlocked;
  call_waiters(false);
}

void SocketEvent::on_more(Events fired) {
  Slots& slot = slots();
  const bool is_ready = any(fired & (Events::read | Events::write | Events::closed));
  if (any(fired & Events::timeout) && !is_ready) note_silence();
  if (!has_failed()) slot.write |= kBudget;
  if (any(fired & (Events::read | Events::closed))) slot.read |= kMayRead;
  if (any(fired & Events::closed)) slot.read |= kEnded;
  if (any(fired & Events::write)) slot.read &= ~kBlocked;
  ask_kernel();
  call_waiters(any(fired & kWriterFirst));
}

// Nothing of this is touched after a waiter was called: it may be gone. If both directions are due,
// they take turns, one in each iteration.
[[gnu::always_inline]] inline void SocketEvent::call_waiters(bool writer_first) {
  const Slots& slot = slots();
  Waiter* const reader = makes_sense(Want::read) ? waiter(slot.read) : nullptr;
  Waiter* const writer = makes_sense(Want::write) ? waiter(slot.write) : nullptr;
  if (reader == nullptr) {
    if (writer != nullptr) writer->ready();
    return;
  }
  if (writer != nullptr) [[unlikely]]
    return call_both(*reader, *writer, writer_first);
  reader->ready();
}

// The turn of the other one is in the conditions of the event: there is no bit for it in Slots.
[[gnu::noinline]] void SocketEvent::call_both(Waiter& reader, Waiter& writer, bool writer_first) {
  activate(writer_first ? kTurn : kTurn | kWriterFirst);
  (writer_first ? writer : reader).ready();
}

// A stream that has moved bytes in its last turn, and is due for the next one, was not silent:
// other callbacks have taken longer than the limit. The timeout has started anew already.
void SocketEvent::note_silence() noexcept {
  const bool has_moved = !has_failed() && (slots().write & kBudget) != kBudget;
  if (has_moved && (is_due(Want::read) || is_due(Want::write))) return;
  if (!has_failed()) fail(0);
  stop_timeout();
}

bool SocketEvent::is_due(Want want) const noexcept {
  const Slots& slot = slots();
  return waiter(want == Want::read ? slot.read : slot.write) != nullptr && makes_sense(want);
}

void SocketEvent::restart_timeout() noexcept {
  if ((slots().write & kFlags) == kBudget) --slots().write;
  static_cast<void>(try_rearm(Event::timeout()));
}

void SocketEvent::stop_timeout() noexcept {
  if (is_simulated()) {
    detach();
    node().timeout = Duration::zero();
  } else {
    static_cast<void>(try_rearm(Duration::max()));
  }
}

void SocketEvent::set_idle_timeout(Duration limit) {
  if (fd() == -1) return;
  if (timed_out()) slots().write = (slots().write & ~kFlags) | kBudget;
  if (limit > Duration::zero()) {
    rearm(limit);
  } else if (Event::timeout() == Duration::zero()) {
    return;
  } else if (is_simulated()) {
    stop_timeout();
    let_all_try();  // what was due is forgotten
    activate(kTurn);
  } else {
    rearm(Duration::max());
  }
}

void SocketEvent::note_error(Io io) noexcept {
  if (has_failed()) return;
  for (std::size_t i = 1; i < std::size(kFailures); ++i) {
    if (kFailures[i] == io) return fail(i);
  }
}

void SocketEvent::fail(std::uintptr_t index) noexcept {
  slots().write = (slots().write & ~kFlags) | kFailed | index;
  let_all_try();
}

// A connection that has failed has no orderly end, and nothing to wait for.
Io SocketEvent::noted_read(Io io, std::size_t wanted) noexcept {
  if (has_failed()) return io == 0 || io == kWouldBlock ? failure() : io;
  if (io >= 0) {
    note_read(static_cast<std::size_t>(io), wanted);
  } else if (io == kWouldBlock) {
    note_blocked(Want::read);
  } else {
    note_error(io);
  }
  return io;
}

Io SocketEvent::noted_write(Io io, std::size_t wanted) noexcept {
  if (io >= 0) {
    note_write(static_cast<std::size_t>(io), wanted);
  } else if (io == kWouldBlock) {
    note_blocked(Want::write);
  } else {
    note_error(io);
  }
  return io;
}

Io SocketEvent::refuse_write() const noexcept {
  if (fd() == -1) return -EBADF;
  return has_failed() ? failure() : to_io(Errc::torn);
}

Socket SocketEvent::release() noexcept {
  if (fd() == -1) {
    drop_waiters();  // who has come since it was closed
    return Socket();
  }
  Socket socket(fd(), kernel());
  if (is_simulated()) socket.kernel()->unwatch(fd(), *this);
  // Else the base may be gone.
  if (node().in_use()) Event::release();
  node().descriptor = -1;
  node().events = Events::none;
  let_all_try();
  drop_waiters();
  return socket;
}

void SocketEvent::drop_waiters() noexcept {
  detail::drop_waiters([this](Want want) { return forget(want); },
                       [this](Want want, Waiter& waiter) { put(want, waiter); });
}

}  // namespace event_cpp::net::detail
