// Events. One that is added or active has an Event of ours, which the loop below calls; the fields
// that programs see are as in libevent.
#include <sys/time.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <new>

#include "event_base.hpp"
#include "internals.hpp"

namespace event_cpp::libevent {

// What the loop below calls while an event is added or active.
class Watch : public Event {
 public:
  Watch(::event& its_owner, Base& base, int fd, Events events)
      : Event(base, fd, events, Calls<&Watch::fire>()), owner(its_owner) {}

  ::event& owner;

 private:
  static void fire(Event& event, Events fired);
};

namespace {

constexpr int kConditions = EV_READ | EV_WRITE | EV_CLOSED | EV_SIGNAL;

// libevent keeps the index in its heap there.
event*& watch_place(event& ev) noexcept {
  return ev.ev_timeout_pos.ev_next_with_common_timeout.tqe_next;
}
Watch* watch_of(event& ev) noexcept { return reinterpret_cast<Watch*>(watch_place(ev)); }
auto& link(event& ev) noexcept { return ev.ev_.ev_io.ev_io_next; }
short& calls_of(event& ev) noexcept { return ev.ev_.ev_signal.ev_ncalls; }

short& flags(event& ev) noexcept { return ev.ev_evcallback.evcb_flags; }
bool has(event& ev, int flag) noexcept { return (flags(ev) & flag) != 0; }

void set_lists(event& ev, int lists) noexcept {
  const int all = EVLIST_INSERTED | EVLIST_TIMEOUT | EVLIST_ACTIVE;
  const int before = flags(ev) & all;
  const int change = __builtin_popcount(lists & all) - __builtin_popcount(before);
  const int active = ((lists & EVLIST_ACTIVE) != 0) - ((before & EVLIST_ACTIVE) != 0);
  flags(ev) = static_cast<short>((flags(ev) & ~all) | lists);
  if (!has(ev, EVLIST_INTERNAL)) ev.ev_base->count(change, active);
}
int lists(event& ev) noexcept {
  return flags(ev) & (EVLIST_INSERTED | EVLIST_TIMEOUT | EVLIST_ACTIVE);
}

Events to_events(int what) noexcept {
  Events events = Events::none;
  const auto map = [&](int theirs, Events ours) {
    if ((what & theirs) != 0) events = events | ours;
  };
  map(EV_TIMEOUT, Events::timeout);
  map(EV_READ, Events::read);
  map(EV_WRITE, Events::write);
  map(EV_SIGNAL, Events::signal);
  map(EV_PERSIST, Events::persist);
  map(EV_ET, Events::edge);
  map(EV_CLOSED, Events::closed);
  return events;
}

short to_result(Events fired, short wanted) noexcept {
  int result = 0;
  const auto map = [&](Events ours, int theirs) {
    if (any(fired & ours)) result |= theirs;
  };
  map(Events::timeout, EV_TIMEOUT);
  map(Events::read, EV_READ);
  map(Events::write, EV_WRITE);
  map(Events::signal, EV_SIGNAL);
  map(Events::closed, EV_CLOSED);
  if ((result & (EV_READ | EV_WRITE | EV_CLOSED)) != 0) result |= wanted & EV_ET;
  return static_cast<short>(result);
}

// What it is watched for. Where there are no edges, libevent has one that asks for them report
// levels.
short wanted_of(const event& ev) noexcept {
  const bool has_edges = (event_base_get_features(ev.ev_base) & EV_FEATURE_ET) != 0;
  return static_cast<short>(has_edges ? ev.ev_events : ev.ev_events & ~EV_ET);
}

// It was activated by its user, whatever the loop below says: no event of libevent asks for this.
constexpr Events kActivated = Events::urgent;

// Or a signal. libevent lets a descriptor below zero wait for ever.
bool watches_descriptor(const event& ev) noexcept {
  return (ev.ev_events & EV_SIGNAL) != 0 || ((ev.ev_events & kConditions) != 0 && ev.ev_fd >= 0);
}

// False: no memory.
bool begin_watch(event& ev) {
  if (watch_of(ev) != nullptr) return true;
  void* const memory = event_mm_malloc_(sizeof(Watch));
  if (memory == nullptr) return false;
  event_base& base = *ev.ev_base;
  const bool descriptor = watches_descriptor(ev);
  const Events events = to_events(wanted_of(ev));
  auto* const watch =
      ::new (memory) Watch(ev, base.base, descriptor ? ev.ev_fd : -1,
                           descriptor ? events : Events::timeout | (events & Events::persist));
  watch_place(ev) = reinterpret_cast<event*>(watch);
  link(ev).le_next = base.first;
  if (base.first != nullptr) link(*base.first).le_prev = &link(ev).le_next;
  link(ev).le_prev = &base.first;
  base.first = &ev;
  return true;
}

void end_watch(event& ev) noexcept {
  Watch* const watch = watch_of(ev);
  if (watch == nullptr) return;
  watch->~Watch();
  event_mm_free_(watch);
  watch_place(ev) = nullptr;
  *link(ev).le_prev = link(ev).le_next;
  if (link(ev).le_next != nullptr) link(*link(ev).le_next).le_prev = link(ev).le_prev;
}

std::error_code attach(event& ev, const timeval* timeout) noexcept {
  event_base& base = *ev.ev_base;
  Watch& watched = *watch_of(ev);
  const bool was = watched.attached();
  if (timeout == nullptr) {
    if (was) return {};
    return watched.try_attach(watches_descriptor(ev) ? Duration::zero() : Duration::max());
  }
  Duration delay = duration_of(*timeout);
  if ((ev.ev_events & EV_PERSIST) == 0) {
    const TimePoint deadline = base.now() + delay;
    return was ? watched.try_rearm_at(deadline) : watched.try_attach_at(deadline);
  }
  if (delay <= Duration::zero()) delay = Duration(1);  // in each iteration
  return was ? watched.try_rearm(delay) : watched.try_attach(delay);
}

}  // namespace

void Watch::fire(Event& event, Events fired) {
  ::event& ev = static_cast<Watch&>(event).owner;
  event_base& base = *ev.ev_base;
  short result = to_result(fired, wanted_of(ev));
  if (has(ev, EVLIST_ACTIVE)) result = static_cast<short>(result | ev.ev_res);
  ev.ev_res = result;
  // What its user activated begins its time anew as well.
  if (any(fired & kActivated) && has(ev, EVLIST_TIMEOUT) && (result & EV_TIMEOUT) == 0 &&
      (ev.ev_events & EV_PERSIST) != 0) {
    static_cast<void>(event.try_rearm(event.timeout()));
  }
  if (!base.queues_events()) {
    if (has(ev, EVLIST_ACTIVE)) set_lists(ev, lists(ev) & ~EVLIST_ACTIVE);
    return base.call(ev, result);
  }
  if (!has(ev, EVLIST_ACTIVE)) base.push(ev.ev_evcallback);
}

short begin_calls(event& ev) noexcept {
  if ((ev.ev_events & EV_SIGNAL) == 0) return 1;
  const short calls = calls_of(ev);
  calls_of(ev) = 0;
  return calls > 1 ? calls : 1;
}

void counted_by(event& ev, short* left) noexcept { ev.ev_.ev_signal.ev_pncalls = left; }

Duration duration_of(const timeval& time) noexcept {
  // The microseconds of a common timeout say so in their upper bits.
  constexpr long kMicroseconds = 0x000fffff;
  const long microseconds = (static_cast<unsigned long>(time.tv_usec) & 0xf0000000U) == 0x50000000U
                                ? time.tv_usec & kMicroseconds
                                : time.tv_usec;
  constexpr long kMost = 100L * 365 * 24 * 3600;
  if (time.tv_sec > kMost) return std::chrono::seconds(kMost);
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(microseconds);
}

timeval timeval_of(Duration duration) noexcept {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(duration);
  const auto rest = std::chrono::floor<std::chrono::microseconds>(duration - seconds);
  return {static_cast<time_t>(seconds.count()), static_cast<suseconds_t>(rest.count())};
}

int add(event& ev, const timeval* timeout) {
  if (ev.ev_base == nullptr || has(ev, EVLIST_FINALIZING)) return -1;
  const bool waits = (ev.ev_events & kConditions) != 0;
  if (!waits && timeout == nullptr) return 0;
  // What is active because of its timeout alone is not: it has a new one.
  if (timeout != nullptr && has(ev, EVLIST_ACTIVE) && (ev.ev_res & EV_TIMEOUT) != 0) {
    if (ev.ev_base->queues_events()) ev.ev_base->remove(ev.ev_evcallback);
    ev.ev_res = 0;
  }
  const bool had_timeout = has(ev, EVLIST_TIMEOUT);
  const bool begun = watch_of(ev) == nullptr;
  if (!begin_watch(ev)) return -1;
  if (const std::error_code error = attach(ev, timeout)) {
    if (begun) end_watch(ev);
    errno = error.value();
    return -1;
  }
  set_lists(ev, lists(ev) | (waits ? EVLIST_INSERTED : 0) |
                    (timeout != nullptr || had_timeout ? EVLIST_TIMEOUT : 0));
  return 0;
}

void forget(event& ev) noexcept {
  end_watch(ev);
  set_lists(ev, lists(ev) & EVLIST_ACTIVE);
}

int remove(event& ev, Block block) {
  event_base* const base = ev.ev_base;
  if (base == nullptr) return -1;
  if (has(ev, EVLIST_FINALIZING)) return 0;
  if (block == Block::yes) base->wait_for_end_of(ev.ev_evcallback);
  if ((ev.ev_events & EV_SIGNAL) != 0 && ev.ev_.ev_signal.ev_pncalls != nullptr)
    *ev.ev_.ev_signal.ev_pncalls = -1;
  if (has(ev, EVLIST_ACTIVE) && base->queues_events()) base->remove(ev.ev_evcallback);
  end_watch(ev);
  set_lists(ev, 0);
  calls_of(ev) = 0;
  return 0;
}

void activate(event& ev, int res, short calls) {
  event_base* const base = ev.ev_base;
  if (base == nullptr || has(ev, EVLIST_FINALIZING)) return;
  if (has(ev, EVLIST_ACTIVE)) {
    ev.ev_res = static_cast<short>(ev.ev_res | res);
    return;
  }
  ev.ev_res = static_cast<short>(res);
  if ((ev.ev_events & EV_SIGNAL) != 0) calls_of(ev) = calls;
  if (!begin_watch(ev)) return event_warn("event_active");
  if (base->queues_events()) return base->push(ev.ev_evcallback);
  set_lists(ev, lists(ev) | EVLIST_ACTIVE);
  watch_of(ev)->activate(kActivated);
}

}  // namespace event_cpp::libevent

using namespace event_cpp::libevent;

extern "C" {

static char self_argument;

void* event_self_cbarg() { return &self_argument; }

int event_assign(event* ev, event_base* base, evutil_socket_t fd, short events,
                 event_callback_fn callback, void* argument) {
  if (base == nullptr) base = event_global_current_base_;
  if (argument == &self_argument) argument = ev;
  if ((events & EV_SIGNAL) != 0 && (events & (EV_READ | EV_WRITE | EV_CLOSED)) != 0) {
    event_warnx("event_assign: EV_SIGNAL with EV_READ, EV_WRITE or EV_CLOSED");
    return -1;
  }
  std::memset(ev, 0, sizeof *ev);
  ev->ev_base = base;
  ev->ev_evcallback.evcb_cb_union.evcb_callback = callback;
  ev->ev_evcallback.evcb_arg = argument;
  ev->ev_evcallback.evcb_flags = EVLIST_INIT;
  ev->ev_evcallback.evcb_closure = kCallEvent;
  if (base != nullptr) ev->ev_evcallback.evcb_pri = static_cast<ev_uint8_t>(base->priorities() / 2);
  ev->ev_fd = fd;
  ev->ev_events = events;
  return 0;
}

void event_set(event* ev, evutil_socket_t fd, short events, event_callback_fn callback,
               void* argument) {
  event_assign(ev, event_global_current_base_, fd, events, callback, argument);
}

int event_base_set(event_base* base, event* ev) {
  if (ev->ev_evcallback.evcb_flags != EVLIST_INIT) return -1;
  ev->ev_base = base;
  ev->ev_evcallback.evcb_pri = static_cast<ev_uint8_t>(base->priorities() / 2);
  return 0;
}

event* event_new(event_base* base, evutil_socket_t fd, short events, event_callback_fn callback,
                 void* argument) {
  auto* const ev = static_cast<event*>(event_mm_malloc_(sizeof(event)));
  if (ev == nullptr) return nullptr;
  if (event_assign(ev, base, fd, events, callback, argument) < 0) {
    event_mm_free_(ev);
    return nullptr;
  }
  return ev;
}

void event_free(event* ev) {
  event_del(ev);
  event_mm_free_(ev);
}

int event_add(event* ev, const timeval* timeout) {
  if (ev->ev_base == nullptr) {
    event_warnx("event_add: the event has no base");
    return -1;
  }
  const Guard guard(ev->ev_base);
  return add(*ev, timeout);
}

int event_add_nolock_(event* ev, const timeval* timeout, int /*is_absolute*/) {
  return add(*ev, timeout);
}

int event_del(event* ev) {
  if (ev->ev_base == nullptr) {
    event_warnx("event_del: the event has no base");
    return -1;
  }
  const Guard guard(ev->ev_base);
  return remove(*ev, Block::yes);
}

int event_del_block(event* ev) { return event_del(ev); }

int event_del_noblock(event* ev) {
  const Guard guard(ev->ev_base);
  return remove(*ev, Block::no);
}

int event_del_nolock_(event* ev, int blocking) {
  return remove(*ev, blocking == 0 ? Block::no : Block::yes);
}

int event_remove_timer(event* ev) {
  event_base* const base = ev->ev_base;
  if (base == nullptr) return -1;
  const Guard guard(base);
  if (!has(*ev, EVLIST_TIMEOUT)) return 0;
  if (!has(*ev, EVLIST_INSERTED)) {
    if (has(*ev, EVLIST_ACTIVE)) {
      watch_of(*ev)->rearm_at(event_cpp::TimePoint::max());
      set_lists(*ev, EVLIST_ACTIVE);
      return 0;
    }
    return remove(*ev, Block::no);
  }
  set_lists(*ev, lists(*ev) & ~EVLIST_TIMEOUT);
  return watch_of(*ev)->try_rearm_at(event_cpp::TimePoint::max()) ? -1 : 0;
}

void event_active(event* ev, int res, short calls) {
  event_base* const base = ev->ev_base;
  if (base == nullptr) return event_warnx("event_active: the event has no base");
  const Guard guard(base);
  activate(*ev, res, calls);
}

void event_active_nolock_(event* ev, int res, short calls) { activate(*ev, res, calls); }

// In the next turn, as what is activated always is where the loop below calls it.
void event_active_later_(event* ev, int res) { event_active(ev, res, 0); }

int event_pending(const event* event_given, short what, timeval* when) {
  event& ev = const_cast<event&>(*event_given);
  event_base* const base = ev.ev_base;
  if (base == nullptr) return event_warnx("event_pending: the event has no base"), 0;
  const Guard guard(base);
  int pending = 0;
  if (has(ev, EVLIST_INSERTED)) pending |= ev.ev_events & kConditions;
  if (has(ev, EVLIST_ACTIVE)) pending |= ev.ev_res;
  if (has(ev, EVLIST_TIMEOUT)) pending |= EV_TIMEOUT;
  pending &= what & (EV_TIMEOUT | EV_READ | EV_WRITE | EV_CLOSED | EV_SIGNAL);
  if (when != nullptr && (pending & EV_TIMEOUT) != 0) {
    const auto deadline = watch_of(ev)->deadline().value_or(base->now());
    *when = timeval_of(deadline.time_since_epoch() + base->wall_offset());
  }
  return pending;
}

int event_initialized(const event* ev) { return (ev->ev_evcallback.evcb_flags & EVLIST_INIT) != 0; }

int event_priority_set(event* ev, int priority) {
  event_base* const base = ev->ev_base;
  if (base == nullptr || has(*ev, EVLIST_ACTIVE)) return -1;
  const Guard guard(base);
  if (priority < 0 || priority >= base->priorities()) return -1;
  ev->ev_evcallback.evcb_pri = static_cast<ev_uint8_t>(priority);
  return 0;
}

evutil_socket_t event_get_fd(const event* ev) { return ev->ev_fd; }
event_base* event_get_base(const event* ev) { return ev->ev_base; }
short event_get_events(const event* ev) { return ev->ev_events; }
event_callback_fn event_get_callback(const event* ev) {
  return ev->ev_evcallback.evcb_cb_union.evcb_callback;
}
void* event_get_callback_arg(const event* ev) { return ev->ev_evcallback.evcb_arg; }
int event_get_priority(const event* ev) { return ev->ev_evcallback.evcb_pri; }
size_t event_get_struct_event_size() { return sizeof(event); }

void event_get_assignment(const event* ev, event_base** base, evutil_socket_t* fd, short* events,
                          event_callback_fn* callback, void** argument) {
  if (base != nullptr) *base = ev->ev_base;
  if (fd != nullptr) *fd = ev->ev_fd;
  if (events != nullptr) *events = ev->ev_events;
  if (callback != nullptr) *callback = event_get_callback(ev);
  if (argument != nullptr) *argument = event_get_callback_arg(ev);
}

void event_debug_unassign(event* ev) {
  ev->ev_evcallback.evcb_flags = static_cast<short>(ev->ev_evcallback.evcb_flags & ~EVLIST_INIT);
}

static int finalize(event* ev, event_finalize_callback_fn function, ev_uint8_t closure) {
  event_base* const base = ev->ev_base;
  if (base == nullptr) return -1;
  const Guard guard(base);
  remove(*ev, Block::no);
  ev->ev_evcallback.evcb_closure = closure;
  ev->ev_evcallback.evcb_cb_union.evcb_evfinalize = function;
  base->push(ev->ev_evcallback);
  ev->ev_evcallback.evcb_flags |= EVLIST_FINALIZING;
  return 0;
}

int event_finalize(unsigned /*flags*/, event* ev, event_finalize_callback_fn function) {
  return finalize(ev, function, kFinalizeEvent);
}
int event_free_finalize(unsigned /*flags*/, event* ev, event_finalize_callback_fn function) {
  return finalize(ev, function, kFinalizeAndFreeEvent);
}

}  // extern "C"
