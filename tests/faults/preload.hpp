// What the functions consist of that stand before those of the C library.
#pragma once

#include <dlfcn.h>

#include <atomic>

#include "calls.hpp"

namespace event_cpp::faults {

// What would have been called. Found when it is first needed, and by two threads perhaps: both find
// the same.
template <class Function>
class Next {
 public:
  constexpr explicit Next(const char* name) noexcept : name_(name) {}

  template <class... Arguments>
  auto operator()(Arguments... arguments) {
    void* found = found_.load(std::memory_order_relaxed);
    if (found == nullptr) {
      found = ::dlsym(RTLD_NEXT, name_);
      found_.store(found, std::memory_order_relaxed);
    }
    return reinterpret_cast<Function*>(found)(arguments...);
  }

 private:
  const char* name_;
  std::atomic<void*> found_ = nullptr;
};

}  // namespace event_cpp::faults

// name(parameters) that passes on `arguments` unless it is to fail.
#define EVENT_FAILING_AS(call, name, parameters, arguments)               \
  [[gnu::visibility("default")]] int name parameters {                    \
    static constinit event_cpp::faults::Next<int parameters> next(#name); \
    return event_cpp::faults::fails(call) ? -1 : next arguments;          \
  }
#define EVENT_FAILING(name, parameters, arguments) \
  EVENT_FAILING_AS(event_cpp::faults::Call::name, name, parameters, arguments)
