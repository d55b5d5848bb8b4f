// This library. The environment variable EVENT_BACKEND chooses its backend, BENCH_TIMING has it
// measure each callback, BENCH_KEPT_TIME has timers count from a time that the program keeps.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>

#include "contenders/event_coroutines.hpp"
#include "event/event.hpp"
#include "support/contender.hpp"
#include "support/task_queue.hpp"

namespace bench {

struct Contender {
  using Coroutines = EventCoroutines;

  static constexpr bool kDestroyingStops = true;
  static inline const bool kKeepsTime = std::getenv("BENCH_KEPT_TIME") != nullptr;
  static inline event::TimePoint kept_time;

  class Loop {
   public:
    explicit Loop(bool /*precise*/ = false)
        : base_({.timing = std::getenv("BENCH_TIMING") != nullptr}) {}
    void run() { base_.loop(event::RunMode::keep_alive); }
    void poll() { base_.loop(event::RunMode::nonblock); }
    void stop() { base_.stop(); }
    void settle() {}
    void refresh() { kept_time = base_.now(); }
    void post(Task task) { base_.post(task); }
    event::Base& base() { return base_; }

   private:
    event::Base base_;
  };

  // The handler is in the event itself, as a program would have it: there is room for 16 bytes.
  template <class H, event::Events kEvents, int kTimeout = 0>
  class Watch {
   public:
    static constexpr std::size_t kBytes = sizeof(event::Event);

    Watch(Loop& loop, int fd, H handler)
        : event_(loop.base(), fd, kEvents, [handler](event::Event& self, event::Events fired) {
            if (kTimeout > 0 && any(fired & event::Events::timeout)) idle_timeout_came();
            handler(of(self));
          }) {}
    void start() { event_.attach(std::chrono::seconds(kTimeout)); }
    void stop() { event_.detach(); }

   private:
    static Watch& of(event::Event& self) { return reinterpret_cast<Watch&>(self); }

    event::Event event_;
  };

  template <class H>
  using Read = Watch<H, event::Events::read | event::Events::persist>;
  template <class H>
  using OneShot = Watch<H, event::Events::read>;
  template <class H>
  using IdleRead = Watch<H, event::Events::read | event::Events::persist, kIdleSeconds>;
  template <class H>
  using Signal = Watch<H, event::Events::signal | event::Events::persist>;

  template <class H>
  class Timer {
   public:
    static constexpr std::size_t kBytes = sizeof(event::Timer);

    Timer(Loop& loop, H handler)
        : timer_(loop.base(), [handler](event::Event& self, event::Events) { handler(of(self)); }) {
    }
    void start(std::int64_t delay) {
      if (kKeepsTime) return timer_.attach_at(kept_time + event::Duration(delay));
      timer_.attach(event::Duration(delay));
    }
    void later(std::int64_t delay) {
      if (kKeepsTime) return timer_.rearm_at(kept_time + event::Duration(delay));
      timer_.rearm(event::Duration(delay));
    }
    void cancel() { timer_.detach(); }

   private:
    static Timer& of(event::Event& self) { return reinterpret_cast<Timer&>(self); }

    event::Timer timer_;
  };
};

}  // namespace bench
