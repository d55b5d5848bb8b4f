// Stats: counters of a base.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "event/event_mask.hpp"
#include "event/time.hpp"

namespace event_cpp {

// A measured callback: how long it took, and which event it belongs to.
struct CallbackTime {
  Duration took{};
  TimePoint began{};
  // The address of the event. Only compare it: the event may have been destroyed. Null for a posted
  // function.
  const void* event = nullptr;
  int fd = -1;  // or the signal number; -1 without a descriptor
  Events events = Events::none;
  Events fired = Events::none;
  Priority priority = Priority::middle;
};

// The result of Base::stats(): counters from the construction of the base on.
struct Stats {
  std::uint64_t iterations = 0;              // iterations, including polls between slices
  std::uint64_t waits = 0;                   // system calls that polled the kernel
  std::array<std::uint64_t, 3> callbacks{};  // callbacks run, by priority: high, middle, low
  std::uint64_t timers = 0;                  // timeouts that expired, of every kind of event
  std::uint64_t signals = 0;                 // signal events that became active
  std::uint64_t posts = 0;                   // posted functions that became active
  std::uint64_t wakeups = 0;                 // waits that another thread or a signal handler ended
  std::uint64_t registrations = 0;           // changes of interest; on epoll each a system call
  std::size_t attached = 0;                  // attached events, now
  std::size_t active = 0;                    // events and posted functions that wait to run, now

  // The longest callback since timing was turned on: see Options::timing and Base::on_slow(). All
  // zero if there is none.
  CallbackTime longest;

  // A histogram of how late timeouts were, from the deadline until the event became active. lag[0]
  // counts delays below 1024 ns. The limit of each next index is four times the previous one. The
  // last index has no limit.
  static constexpr std::size_t kLags = 12;
  std::array<std::uint64_t, kLags> lag{};

  // The limit of index `i`, which counts delays below it; Duration::max() for the last index.
  static constexpr Duration lag_limit(std::size_t i) noexcept {
    return i + 1 < kLags ? Duration(Duration::rep{1024} << (2 * i)) : Duration::max();
  }

  // The index that counts a delay of `lag`.
  static constexpr std::size_t lag_place(Duration lag) noexcept {
    if (lag < Duration(1024)) return 0;
    const auto width = std::bit_width(static_cast<std::uint64_t>(lag.count()) >> 10);
    const auto place = (static_cast<std::size_t>(width) + 1) / 2;
    return place < kLags ? place : kLags - 1;
  }
};

static_assert(Stats::lag_place(Duration(1023)) == 0 && Stats::lag_place(Duration(1024)) == 1);
static_assert(Stats::lag_place(Duration(4095)) == 1 && Stats::lag_place(Duration(4096)) == 2);

}  // namespace event_cpp
