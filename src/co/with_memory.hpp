// What must not be lost for want of memory.
#pragma once

#include <chrono>
#include <new>
#include <thread>

#include "event/base.hpp"

namespace event_cpp::co::detail {

// Calls f() until it does not throw std::bad_alloc, each millisecond. Returns what f() returns.
template <class F>
decltype(auto) with_memory(F f) noexcept {
  for (;;) {
    try {
      return f();
    } catch (const std::bad_alloc&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

// Posts a copy of `function`, once there is memory for it.
template <class F>
void post_surely(Base& base, const F& function) noexcept {
  with_memory([&] { base.post(F(function)); });
}

}  // namespace event_cpp::co::detail
