// What libevent's upper layers and its own tests call of its lower ones, by their names there.
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/thread.h>

#include <cstddef>

using deferred_cb_fn = void (*)(event_callback*, void*);

// event_callback::evcb_closure.
inline constexpr ev_uint8_t kCallEvent = 0;
inline constexpr ev_uint8_t kCallItself = 3;
inline constexpr ev_uint8_t kFinalizeCallback = 4;
inline constexpr ev_uint8_t kFinalizeEvent = 5;
inline constexpr ev_uint8_t kFinalizeAndFreeEvent = 6;

extern "C" {

extern event_base* event_global_current_base_;
extern int event_debug_mode_on_;
extern int event_debug_created_threadable_ctx_;

// log.c
void event_warnx(const char* format, ...);
void event_warn(const char* format, ...);
// evthread.c, evutil.c
extern evthread_lock_callbacks evthread_lock_fns_;
void evutil_free_globals_();

int event_global_setup_locks_(int enable_locks);

void* event_mm_malloc_(std::size_t size);
void* event_mm_calloc_(std::size_t count, std::size_t size);
char* event_mm_strdup_(const char* text);
void* event_mm_realloc_(void* memory, std::size_t size);
void event_mm_free_(void* memory);

void event_base_add_virtual_(event_base* base);
void event_base_del_virtual_(event_base* base);
void event_base_assert_ok_(event_base* base);
void event_base_assert_ok_nolock_(event_base* base);
int event_base_start_iocp_(event_base* base, int cpus);
void event_base_stop_iocp_(event_base* base);
int event_base_foreach_event_nolock_(event_base* base, event_base_foreach_event_cb f,
                                     void* context);

int event_add_nolock_(event* ev, const timeval* timeout, int is_absolute);
int event_del_nolock_(event* ev, int blocking);
void event_active_nolock_(event* ev, int res, short calls);
void event_active_later_(event* ev, int res);

void event_callback_init_(event_base* base, event_callback* callback);
int event_callback_activate_(event_base* base, event_callback* callback);
int event_callback_activate_nolock_(event_base* base, event_callback* callback);
int event_callback_cancel_(event_base* base, event_callback* callback);
void event_callback_finalize_(event_base* base, unsigned flags, event_callback* callback,
                              deferred_cb_fn finalize);
int event_callback_finalize_many_(event_base* base, int count, event_callback** callbacks,
                                  deferred_cb_fn finalize);
void event_deferred_cb_init_(event_callback* callback, ev_uint8_t priority, deferred_cb_fn function,
                             void* argument);
void event_deferred_cb_set_priority_(event_callback* callback, ev_uint8_t priority);
void event_deferred_cb_cancel_(event_base* base, event_callback* callback);
int event_deferred_cb_schedule_(event_base* base, event_callback* callback);
}

namespace event_cpp::libevent {

// How often the callback of a signal event is to be called; at least once.
short begin_calls(event& ev) noexcept;
// Where that is counted down, so that removing the event ends it. Null: nowhere.
void counted_by(event& ev, short* left) noexcept;

}  // namespace event_cpp::libevent
