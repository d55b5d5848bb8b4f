// A loop that has nothing to do: what watching and not watching costs, and a look at the kernel.
#pragma once

#include <cstdint>
#include <optional>

#include "support/clock.hpp"
#include "support/contender.hpp"
#include "support/system.hpp"

namespace bench {

enum class Change {
  none,      // a look
  between,   // attach, detach, a look
  waited,    // attach, a look, detach, a look
  destroyed  // an event is made, attached, a look, the event is destroyed, a look
};

template <class C, Change kChange>
class Changes {
 public:
  Changes() {
    if constexpr (HasTimer<C>) timer_.emplace(loop_, NoHandler{});
    silent_.start();
  }

  Figures run(std::uint64_t operations) {
    const Stopwatch watch;
    for (std::uint64_t i = 0; i < operations; ++i) change();
    return watch.per_operation(operations);
  }

  // Runs until the process is ended, with a timer that is not due for an hour.
  void idle() {
    if constexpr (HasTimer<C>) timer_->start(3600 * kSecond);
    loop_.run();
  }

 private:
  using Read = typename C::template Read<NoHandler>;

  void change() {
    if constexpr (kChange == Change::destroyed) {
      changing_.emplace(loop_, fd_, NoHandler{});
    }
    if constexpr (kChange != Change::none) changing_->start();
    if constexpr (kChange == Change::waited || kChange == Change::destroyed) loop_.poll();
    if constexpr (kChange == Change::between || kChange == Change::waited) changing_->stop();
    if constexpr (kChange == Change::destroyed) changing_.reset();
    loop_.poll();
  }

  struct NoTimer {};
  template <class T>
  struct TimerOf {
    using Type = NoTimer;
  };
  template <HasTimer T>
  struct TimerOf<T> {
    using Type = typename T::template Timer<NoHandler>;
  };

  const int fd_ = make_eventfd();
  typename C::Loop loop_;
  Read silent_{loop_, make_eventfd(), NoHandler{}};
  std::optional<Read> changing_{std::in_place, loop_, fd_, NoHandler{}};
  std::optional<typename TimerOf<C>::Type> timer_;
};

}  // namespace bench
