// What the tests of coroutines share.
#pragma once

#include <system_error>

#include "event/co.hpp"
#include "support/bounded.hpp"
#include "support/every_backend.hpp"

namespace event_cpp::test {

// co::run() under a bound on real time: a test that waits for ever fails.
template <class T>
T run_bounded(Base& base, co::Task<T> task) {
  const Bounded bounded(base);
  return co::run(base, std::move(task));
}

class EveryBackendCo : public EveryBackend {
 protected:
  template <class T>
  static T run_task(Base& base, co::Task<T> task) {
    return run_bounded(base, std::move(task));
  }
};

// The code of the std::system_error that `task` throws; none if it ends well.
inline co::Task<std::error_code> error_of(co::Task<> task) {
  std::error_code code;
  try {
    co_await std::move(task);
  } catch (const std::system_error& error) {
    code = error.code();
  }
  co_return code;
}

// Adds to a counter when it is destroyed.
struct CountsDestruction {
  int& destroyed;
  explicit CountsDestruction(int& counter) noexcept : destroyed(counter) {}
  ~CountsDestruction() { ++destroyed; }
  CountsDestruction(const CountsDestruction&) = delete;
  CountsDestruction& operator=(const CountsDestruction&) = delete;
};

}  // namespace event_cpp::test
