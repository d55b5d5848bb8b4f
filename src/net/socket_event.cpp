#include "event/net/detail/socket_event.hpp"

#include <cassert>
#include <iterator>
#include <system_error>
#include <utility>

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

bool SocketEvent::may_try(Want want) noexcept {
  Slots& slot = slots();
  const bool blocks =
      want == Want::read ? (slot.read & kMayRead) == 0 : (slot.read & kBlocked) != 0;
  if (has_failed()) [[unlikely]]
    return true;
  if (blocks && fd() != -1) return false;
  if ((slot.write & kBudget) == 0) return false;
  --slot.write;
  return true;
}

void SocketEvent::wait_for(Want want, Waiter& new_waiter) noexcept {
  Slots& slot = slots();
  std::uintptr_t& place = want == Want::read ? slot.read : slot.write;
  assert((waiter(place) == nullptr || waiter(place) == &new_waiter) &&
         "one task or callback waits for each direction");
  place = reinterpret_cast<std::uintptr_t>(&new_waiter) | (place & kFlags);
  const bool now = want == Want::read ? (slot.read & kMayRead) != 0 : (slot.read & kBlocked) == 0;
  if (now || has_failed() || fd() == -1) {
    activate(want == Want::read ? Events::read : Events::write);
  } else {
    ask_kernel();
  }
}

Waiter* SocketEvent::forget(Want want) noexcept {
  Slots& slot = slots();
  std::uintptr_t& place = want == Want::read ? slot.read : slot.write;
  Waiter* const before = waiter(place);
  place &= kFlags;
  return before;
}

// Where there are no edges: asks for what somebody waits for and does not have.
void SocketEvent::ask_kernel() noexcept {
  if (any(events() & Events::edge) || fd() < 0) return;
  const Slots& slot = slots();
  Events interest = Events::persist;
  if ((slot.read & kEnded) == 0) interest |= Events::closed;
  if (waiter(slot.read) != nullptr && (slot.read & kMayRead) == 0) interest |= Events::read;
  if (waiter(slot.write) != nullptr && (slot.read & kBlocked) != 0) interest |= Events::write;
  if (interest != events()) static_cast<void>(try_modify(interest));
}

// Nothing of this is touched after a waiter was called: it may be gone. If both directions are due,
// the second one is called in the next iteration.
void SocketEvent::on(Events fired) {
  Slots& slot = slots();
  if (!has_failed()) slot.write |= kBudget;
  const Events io = fired & (Events::read | Events::write | Events::closed);
  if (any(io & Events::closed)) slot.read |= kEnded;
  if (any(io & (Events::read | Events::closed))) slot.read |= kMayRead;
  if (any(io & Events::write)) slot.read &= ~kBlocked;
  if (!any(io) && !has_failed()) slot.write = (slot.write & ~kFlags) | kFailed;
  ask_kernel();
  const bool always = has_failed() || fd() == -1;
  Waiter* const reader = always || (slot.read & kMayRead) != 0 ? waiter(slot.read) : nullptr;
  Waiter* const writer = always || (slot.read & kBlocked) == 0 ? waiter(slot.write) : nullptr;
  if (reader != nullptr) {
    if (writer != nullptr) activate(Events::write);
    reader->ready();
  } else if (writer != nullptr) {
    writer->ready();
  }
}

void SocketEvent::set_idle_timeout(Duration limit) {
  if (fd() == -1) return;
  if (timed_out()) slots().write = (slots().write & ~kFlags) | kBudget;
  if (limit > Duration::zero()) {
    rearm(limit);
  } else if (is_simulated()) {
    detach();
  } else if (Event::timeout() != Duration::zero()) {
    rearm(Duration::max());
  }
}

void SocketEvent::keep_error(Io io) noexcept {
  for (std::size_t i = 1; i < std::size(kFailures); ++i) {
    if (kFailures[i] != io) continue;
    slots().write = (slots().write & ~kFlags) | kFailed | i;
    return;
  }
}

Socket SocketEvent::release() noexcept {
  if (fd() == -1) return Socket();
  Socket socket(fd(), kernel());
  if (is_simulated()) socket.kernel()->unwatch(fd(), *this);
  // Else the base may be gone.
  if (node().in_use()) Event::release();
  node().descriptor = -1;
  node().events = Events::none;
  for (const Want want : {Want::read, Want::write}) {
    if (Waiter* const before = forget(want)) before->dropped();
  }
  return socket;
}

}  // namespace event_cpp::net::detail
