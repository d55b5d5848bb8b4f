// This library. The environment variable EVENT_BACKEND chooses its backend, BENCH_TIMING has it
// measure each callback.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>

#include "event/event.hpp"
#include "support/contender.hpp"
#include "support/task_queue.hpp"

namespace bench {

struct Contender {
  static constexpr bool kDestroyingStops = true;

  class Loop {
   public:
    explicit Loop(bool /*precise*/ = false)
        : base_({.timing = std::getenv("BENCH_TIMING") != nullptr}) {}
    void run() { base_.loop(event::Loop::keep_alive); }
    void poll() { base_.loop(event::Loop::nonblock); }
    void stop() { base_.stop(); }
    void settle() {}
    void refresh() {}
    void post(Task task) { base_.post(task); }
    event::Base& base() { return base_; }

   private:
    event::Base base_;
  };

  template <class H, event::Events kEvents, int kTimeout = 0>
  class Watch {
   public:
    static constexpr std::size_t kBytes = sizeof(event::Event);

    Watch(Loop& loop, int fd, H handler)
        : event_(loop.base(), fd, kEvents,
                 [this](event::Events fired) {
                   if (kTimeout > 0 && any(fired & event::Events::timeout)) idle_timeout_came();
                   handler_(*this);
                 }),
          handler_(handler) {}
    void start() { event_.attach(std::chrono::seconds(kTimeout)); }
    void stop() { event_.detach(); }

   private:
    event::Event event_;
    [[no_unique_address]] H handler_;
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
        : timer_(loop.base(), [this] { handler_(*this); }), handler_(handler) {}
    void start(std::int64_t delay) { timer_.attach(event::Duration(delay)); }
    void later(std::int64_t delay) { timer_.rearm(event::Duration(delay)); }
    void cancel() { timer_.detach(); }

   private:
    event::Timer timer_;
    [[no_unique_address]] H handler_;
  };
};

}  // namespace bench
