// A post that must not be lost.
#pragma once

#include <chrono>
#include <new>
#include <thread>

#include "event/base.hpp"

namespace event_cpp::co::detail {

// Posts a copy of `function`; tries again each millisecond while there is no memory for it.
template <class F>
void post_surely(Base& base, const F& function) noexcept {
  for (;;) {
    try {
      base.post(F(function));
      return;
    } catch (const std::bad_alloc&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
}

}  // namespace event_cpp::co::detail
