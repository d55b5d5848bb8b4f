// Bases as libevent's users make, ask and stop them; configuration; memory.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "event_base.hpp"
#include "internals.hpp"

using namespace event_cpp;
using namespace event_cpp::libevent;

struct event_config {
  std::vector<std::string> avoided;
  int features = 0;
  int flags = 0;
  DispatchLimits limits;

  bool avoids(const std::string& method) const {
    for (const std::string& name : avoided) {
      if (name == method) return true;
    }
    if ((flags & EVENT_BASE_FLAG_IGNORE_ENV) != 0) return false;
    std::string variable = "EVENT_NO";
    for (const char c : method) variable += static_cast<char>(std::toupper(c));
    return std::getenv(variable.c_str()) != nullptr;
  }
};

namespace {

const char* name_of(Backend backend) {
  return backend == Backend::epoll ? "epoll" : backend == Backend::kqueue ? "kqueue" : "poll";
}

int features_of(Backend backend) {
  return backend == Backend::poll ? EV_FEATURE_FDS | EV_FEATURE_EARLY_CLOSE
                                  : EV_FEATURE_ET | EV_FEATURE_O1 | EV_FEATURE_EARLY_CLOSE;
}

void* (*malloc_function)(std::size_t) = nullptr;
void* (*realloc_function)(void*, std::size_t) = nullptr;
void (*free_function)(void*) = nullptr;

// event_base_once().
struct Once {
  event ev;
  event_callback_fn function;
  void* argument;
};

void call_once(evutil_socket_t fd, short events, void* argument) {
  auto* const once = static_cast<Once*>(argument);
  once->function(fd, events, once->argument);
  event_base* const base = once->ev.ev_base;
  {
    const Guard guard(base);
    std::erase(base->owned, once);
  }
  event_mm_free_(once);
}

void exit_loop(evutil_socket_t /*fd*/, short /*events*/, void* argument) {
  auto* const base = static_cast<event_base*>(argument);
  base->exit_asked = true;
  base->base.stop();
}

template <class F>
int for_each(event_base& base, F&& f) {
  for (event* ev = base.first; ev != nullptr;) {
    event* const next = ev->ev_.ev_io.ev_io_next.le_next;
    if (const int result = f(*ev)) return result;
    ev = next;
  }
  return 0;
}

}  // namespace

extern "C" {

event_base* event_global_current_base_ = nullptr;
int event_debug_mode_on_ = 0;
int event_debug_created_threadable_ctx_ = 0;

// Bases.

event_config* event_config_new() { return new event_config; }
void event_config_free(event_config* config) { delete config; }

int event_config_avoid_method(event_config* config, const char* method) {
  config->avoided.emplace_back(method);
  return 0;
}
int event_config_require_features(event_config* config, int features) {
  config->features = features;
  return 0;
}
int event_config_set_flag(event_config* config, int flag) {
  config->flags |= flag;
  return 0;
}
int event_config_set_num_cpus_hint(event_config* /*config*/, int /*cpus*/) { return 0; }
int event_config_set_max_dispatch_interval(event_config* config, const timeval* time, int callbacks,
                                           int least_priority) {
  if (time != nullptr) config->limits.time = duration_of(*time);
  config->limits.callbacks = callbacks >= 0 ? callbacks : 0x7fffffff;
  config->limits.from_priority = least_priority < 0 ? 0 : least_priority;
  return 0;
}

event_base* event_base_new_with_config(const event_config* given) {
  const event_config config = given != nullptr ? *given : event_config();
  const bool locks =
      evthread_lock_fns_.alloc != nullptr && (config.flags & EVENT_BASE_FLAG_NOLOCK) == 0;
  for (const Backend backend : Base::backends()) {
    if (config.avoids(name_of(backend))) continue;
    if ((features_of(backend) & config.features) != config.features) continue;
    Options options;
    options.backend = backend;
    try {
      void* const memory = event_mm_malloc_(sizeof(event_base));
      if (memory == nullptr) return nullptr;
      try {
        return new (memory) event_base(options, config.limits, locks,
                                       (config.flags & EVENT_BASE_FLAG_NO_CACHE_TIME) == 0);
      } catch (...) {
        event_mm_free_(memory);
        throw;
      }
    } catch (const std::exception& error) {
      event_warnx("event_base_new: %s", error.what());
    }
  }
  return nullptr;
}

event_base* event_base_new() { return event_base_new_with_config(nullptr); }

event_base* event_init() {
  event_base* const base = event_base_new();
  if (base != nullptr) event_global_current_base_ = base;
  return base;
}

void event_base_free_nofinalize(event_base* base) {
  if (base == nullptr) base = event_global_current_base_;
  if (base == nullptr) return;
  if (base == event_global_current_base_) event_global_current_base_ = nullptr;
  base->~event_base();
  event_mm_free_(base);
}

void event_base_free(event_base* base) {
  event_base* const freed = base != nullptr ? base : event_global_current_base_;
  if (freed == nullptr) return;
  // Finalizers run; other callbacks do not, but each may defer another.
  for (bool more = true; more;) {
    more = false;
    for (CallbackQueue& queue : freed->queues) {
      while (event_callback* const callback = queue.first()) {
        freed->remove(*callback);
        if ((callback->evcb_flags & EVLIST_FINALIZING) != 0) {
          const Guard guard(freed);
          freed->call(*callback);
        } else if (is_event(*callback)) {
          remove(event_of(*callback), Block::no);
        }
        more = true;
      }
    }
  }
  event_base_free_nofinalize(freed);
}

int event_reinit(event_base* base) {
  const Guard guard(base);
  try {
    base->base.after_fork();
    return 0;
  } catch (const std::system_error& error) {
    errno = error.code().value();
    return -1;
  }
}

int event_base_loop(event_base* base, int flags) {
  const Guard guard(base);
  return base->loop(flags);
}
int event_base_dispatch(event_base* base) { return event_base_loop(base, 0); }
int event_loop(int flags) { return event_base_loop(event_global_current_base_, flags); }
int event_dispatch() { return event_loop(0); }

int event_base_once(event_base* base, evutil_socket_t fd, short events, event_callback_fn function,
                    void* argument, const timeval* timeout) {
  if (base == nullptr || (events & (EV_SIGNAL | EV_PERSIST)) != 0) return -1;
  const bool timed =
      (events & (EV_TIMEOUT | EV_SIGNAL | EV_READ | EV_WRITE | EV_CLOSED)) == EV_TIMEOUT;
  if (!timed && (events & (EV_READ | EV_WRITE | EV_CLOSED)) == 0) return -1;
  auto* const once = static_cast<Once*>(event_mm_calloc_(1, sizeof(Once)));
  if (once == nullptr) return -1;
  once->function = function;
  once->argument = argument;
  const short mask =
      timed ? short{0} : static_cast<short>(events & (EV_READ | EV_WRITE | EV_CLOSED));
  event_assign(&once->ev, base, timed ? -1 : fd, mask, call_once, once);
  const Guard guard(base);
  if (timed && (timeout == nullptr || !evutil_timerisset(timeout))) {
    activate(once->ev, EV_TIMEOUT, 1);
  } else if (add(once->ev, timeout) < 0) {
    event_mm_free_(once);
    return -1;
  }
  base->owned.push_back(once);
  return 0;
}
int event_once(evutil_socket_t fd, short events, event_callback_fn function, void* argument,
               const timeval* timeout) {
  return event_base_once(event_global_current_base_, fd, events, function, argument, timeout);
}

int event_base_loopexit(event_base* base, const timeval* timeout) {
  return event_base_once(base, -1, EV_TIMEOUT, exit_loop, base, timeout);
}
int event_loopexit(const timeval* timeout) {
  return event_base_loopexit(event_global_current_base_, timeout);
}
int event_base_loopbreak(event_base* base) {
  if (base == nullptr) return -1;
  const Guard guard(base);
  base->break_asked = true;
  if (base->running) base->base.stop_now();
  return 0;
}
int event_loopbreak() { return event_base_loopbreak(event_global_current_base_); }
int event_base_loopcontinue(event_base* base) {
  if (base == nullptr) return -1;
  const Guard guard(base);
  base->continue_asked = true;
  if (base->running && !base->queues_events()) base->base.stop_now();
  return 0;
}
int event_base_got_exit(event_base* base) {
  const Guard guard(base);
  return base->exit_asked ? 1 : 0;
}
int event_base_got_break(event_base* base) {
  const Guard guard(base);
  return base->break_asked ? 1 : 0;
}

int event_base_priority_init(event_base* base, int priorities) {
  const Guard guard(base);
  if (base->running || base->active > 0 || priorities < 1 || priorities >= EVENT_MAX_PRIORITIES)
    return -1;
  base->queues.resize(static_cast<std::size_t>(priorities));
  return 0;
}
int event_priority_init(int priorities) {
  return event_base_priority_init(event_global_current_base_, priorities);
}
int event_base_get_npriorities(event_base* base) {
  return (base != nullptr ? base : event_global_current_base_)->priorities();
}

const char* event_base_get_method(const event_base* base) { return name_of(base->base.backend()); }
const char* event_get_method() { return event_base_get_method(event_global_current_base_); }
int event_base_get_features(const event_base* base) { return features_of(base->base.backend()); }
const char** event_get_supported_methods() {
  static std::vector<const char*> names;
  names.clear();
  for (const Backend backend : Base::backends()) names.push_back(name_of(backend));
  names.push_back(nullptr);
  return names.data();
}

int event_base_get_num_events(event_base* base, unsigned which) {
  const Guard guard(base);
  return ((which & EVENT_BASE_COUNT_ACTIVE) != 0 ? base->active : 0) +
         ((which & EVENT_BASE_COUNT_VIRTUAL) != 0 ? base->virtual_events : 0) +
         ((which & EVENT_BASE_COUNT_ADDED) != 0 ? base->added : 0);
}
int event_base_get_max_events(event_base* base, unsigned which, int clear) {
  const Guard guard(base);
  int most = 0;
  const auto take = [&](unsigned flag, int& value) {
    if ((which & flag) == 0) return;
    most += value;
    if (clear != 0) value = 0;
  };
  take(EVENT_BASE_COUNT_ACTIVE, base->most_active);
  take(EVENT_BASE_COUNT_VIRTUAL, base->most_virtual);
  take(EVENT_BASE_COUNT_ADDED, base->most_added);
  return most;
}
void event_base_add_virtual_(event_base* base) {
  const Guard guard(base);
  base->add_virtual(1);
}
void event_base_del_virtual_(event_base* base) {
  const Guard guard(base);
  base->add_virtual(-1);
}
void event_base_assert_ok_(event_base* /*base*/) {}
void event_base_assert_ok_nolock_(event_base* /*base*/) {}

event* event_base_get_running_event(event_base* base) {
  const Guard guard(base);
  return base->running && base->current != nullptr && is_event(*base->current)
             ? &event_of(*base->current)
             : nullptr;
}

int event_base_foreach_event_nolock_(event_base* base, event_base_foreach_event_cb f,
                                     void* context) {
  return for_each(*base, [&](const event& ev) { return f(base, &ev, context); });
}
int event_base_foreach_event(event_base* base, event_base_foreach_event_cb f, void* context) {
  if (base == nullptr || f == nullptr) return -1;
  const Guard guard(base);
  return event_base_foreach_event_nolock_(base, f, context);
}
void event_base_dump_events(event_base* base, FILE* out) {
  const Guard guard(base);
  for_each(*base, [&](const event& ev) {
    std::fprintf(out, "  %p [fd %d] events %x flags %x\n", static_cast<const void*>(&ev), ev.ev_fd,
                 static_cast<unsigned>(ev.ev_events),
                 static_cast<unsigned>(ev.ev_evcallback.evcb_flags));
    return 0;
  });
}
void event_base_active_by_fd(event_base* base, evutil_socket_t fd, short events) {
  const Guard guard(base);
  for_each(*base, [&](event& ev) {
    const bool timed = (events & EV_TIMEOUT) != 0;
    const int conditions =
        timed ? EV_TIMEOUT : ev.ev_events & events & (EV_READ | EV_WRITE | EV_CLOSED);
    const bool added =
        (ev.ev_evcallback.evcb_flags & (timed ? EVLIST_TIMEOUT : EVLIST_INSERTED)) != 0;
    if (ev.ev_fd == fd && added && conditions != 0) activate(ev, conditions, 1);
    return 0;
  });
}
void event_base_active_by_signal(event_base* base, int signo) {
  const Guard guard(base);
  for_each(*base, [&](event& ev) {
    if (ev.ev_fd == signo && (ev.ev_events & EV_SIGNAL) != 0) activate(ev, EV_SIGNAL, 1);
    return 0;
  });
}

// Time.

int event_base_gettimeofday_cached(event_base* base, timeval* time) {
  if (base == nullptr) base = event_global_current_base_;
  if (base == nullptr) return evutil_gettimeofday(time, nullptr);
  const Guard guard(base);
  if (!base->running) return evutil_gettimeofday(time, nullptr);
  *time = timeval_of(base->now().time_since_epoch() + base->wall_offset());
  return 0;
}
int event_base_update_cache_time(event_base* base) {
  if (base == nullptr) base = event_global_current_base_;
  if (base == nullptr) return -1;
  const Guard guard(base);
  if (base->running) base->refreshed = std::chrono::steady_clock::now();
  return 0;
}
const timeval* event_base_init_common_timeout(event_base* base, const timeval* duration) {
  const Guard guard(base);
  base->common_timeouts.reserve(256);  // what is returned stays where it is
  timeval time = *duration;
  if (time.tv_usec > 1'000'000) {
    if ((time.tv_usec & 0xf0000000) == 0x50000000) time.tv_usec &= 0x000fffff;
    time.tv_sec += time.tv_usec / 1'000'000;
    time.tv_usec %= 1'000'000;
  }
  for (const timeval& known : base->common_timeouts) {
    if (duration_of(known) == duration_of(time)) return &known;
  }
  if (base->common_timeouts.size() == 256) return nullptr;
  time.tv_usec |= 0x50000000 | static_cast<long>(base->common_timeouts.size() << 20);
  return &base->common_timeouts.emplace_back(time);
}

// Of the library as a whole.

const char* event_get_version() { return EVENT__VERSION; }
ev_uint32_t event_get_version_number() { return EVENT__NUMERIC_VERSION; }
void event_enable_debug_mode() { event_debug_mode_on_ = 1; }
void event_disable_debug_mode() { event_debug_mode_on_ = 0; }
int event_global_setup_locks_(int /*enable*/) { return 0; }
int evthread_make_base_notifiable(event_base* base) { return base != nullptr ? 0 : -1; }
int event_base_start_iocp_(event_base* /*base*/, int /*cpus*/) { return -1; }
void event_base_stop_iocp_(event_base* /*base*/) {}
void libevent_global_shutdown() {
  event_disable_debug_mode();
  evutil_free_globals_();
}

// Memory.

void event_set_mem_functions(void* (*malloc_given)(size_t), void* (*realloc_given)(void*, size_t),
                             void (*free_given)(void*)) {
  malloc_function = malloc_given;
  realloc_function = realloc_given;
  free_function = free_given;
}
void* event_mm_malloc_(size_t size) {
  if (size == 0) return nullptr;
  return malloc_function != nullptr ? malloc_function(size) : std::malloc(size);
}
void* event_mm_calloc_(size_t count, size_t size) {
  size_t bytes = 0;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    errno = ENOMEM;
    return nullptr;
  }
  if (bytes == 0) return nullptr;
  void* const memory = event_mm_malloc_(bytes);
  if (memory != nullptr) std::memset(memory, 0, bytes);
  return memory;
}
char* event_mm_strdup_(const char* text) {
  if (text == nullptr) {
    errno = EINVAL;
    return nullptr;
  }
  const size_t size = std::strlen(text) + 1;
  void* const memory = event_mm_malloc_(size);
  return memory != nullptr ? static_cast<char*>(std::memcpy(memory, text, size)) : nullptr;
}
void* event_mm_realloc_(void* memory, size_t size) {
  return realloc_function != nullptr ? realloc_function(memory, size) : std::realloc(memory, size);
}
void event_mm_free_(void* memory) {
  if (free_function != nullptr) return free_function(memory);
  std::free(memory);
}

}  // extern "C"
