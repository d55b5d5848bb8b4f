// Callbacks without an event, which libevent's upper layers defer.
#include <cstring>

#include "event_base.hpp"
#include "internals.hpp"

namespace event_cpp::libevent {

bool activate(event_base& base, event_callback& callback) {
  if ((callback.evcb_flags & (EVLIST_FINALIZING | EVLIST_ACTIVE)) != 0) return false;
  base.push(callback);
  return true;
}

void cancel(event_base& base, event_callback& callback) noexcept {
  if ((callback.evcb_flags & EVLIST_FINALIZING) != 0) return;
  if (is_event(callback)) {
    remove(event_of(callback), Block::no);
  } else if ((callback.evcb_flags & EVLIST_ACTIVE) != 0) {
    base.remove(callback);
  }
}

namespace {

void finalize(event_base& base, event_callback& callback, deferred_cb_fn function) {
  cancel(base, callback);
  callback.evcb_closure = kFinalizeCallback;
  callback.evcb_cb_union.evcb_cbfinalize = function;
  activate(base, callback);
  callback.evcb_flags |= EVLIST_FINALIZING;
}

event_base& given(event_base* base) noexcept {
  return base != nullptr ? *base : *event_global_current_base_;
}

}  // namespace
}  // namespace event_cpp::libevent

using namespace event_cpp::libevent;

extern "C" {

void event_callback_init_(event_base* base, event_callback* callback) {
  std::memset(callback, 0, sizeof *callback);
  callback->evcb_pri = static_cast<ev_uint8_t>(base->priorities() - 1);
}

int event_callback_activate_nolock_(event_base* base, event_callback* callback) {
  return activate(*base, *callback) ? 1 : 0;
}

int event_callback_activate_(event_base* base, event_callback* callback) {
  const Guard guard(base);
  return activate(*base, *callback) ? 1 : 0;
}

int event_callback_cancel_(event_base* base, event_callback* callback) {
  const Guard guard(base);
  cancel(*base, *callback);
  return 0;
}

void event_callback_finalize_(event_base* base, unsigned /*flags*/, event_callback* callback,
                              deferred_cb_fn function) {
  const Guard guard(base);
  finalize(*base, *callback, function);
}

int event_callback_finalize_many_(event_base* base, int count, event_callback** callbacks,
                                  deferred_cb_fn function) {
  event_base& owner = given(base);
  const Guard guard(&owner);
  bool waits = false;
  for (int i = 0; i < count; ++i) {
    if (callbacks[i] == owner.current) {
      finalize(owner, *callbacks[i], function);
      waits = true;
    } else {
      cancel(owner, *callbacks[i]);
    }
  }
  if (!waits) finalize(owner, *callbacks[0], function);
  return 0;
}

void event_deferred_cb_init_(event_callback* callback, ev_uint8_t priority, deferred_cb_fn function,
                             void* argument) {
  std::memset(callback, 0, sizeof *callback);
  callback->evcb_cb_union.evcb_selfcb = function;
  callback->evcb_arg = argument;
  callback->evcb_pri = priority;
  callback->evcb_closure = kCallItself;
}

void event_deferred_cb_set_priority_(event_callback* callback, ev_uint8_t priority) {
  callback->evcb_pri = priority;
}

void event_deferred_cb_cancel_(event_base* base, event_callback* callback) {
  event_callback_cancel_(&given(base), callback);
}

int event_deferred_cb_schedule_(event_base* base, event_callback* callback) {
  event_base& owner = given(base);
  const Guard guard(&owner);
  return activate(owner, *callback) ? 1 : 0;
}

}  // extern "C"
