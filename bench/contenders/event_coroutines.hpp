// The coroutines of this library.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "event/co.hpp"

namespace bench {

struct EventCoroutines {
  template <class T = void>
  using Task = event::co::Task<T>;

  static void run(auto& loop, Task<> task) { event::co::run(loop.base(), std::move(task)); }

  class Group {
   public:
    explicit Group(auto& loop) : group_(loop.base()) {}
    void spawn(Task<> task) { group_.spawn(std::move(task)); }
    void spawn_to_cancel(Task<> task) { group_.spawn(std::move(task)); }
    void cancel() { group_.cancel(); }
    auto join() { return group_.join(); }

   private:
    event::co::TaskGroup group_;
  };

  static auto yield(auto& /*loop*/) { return event::co::yield(); }

  struct Sleeper {
    explicit Sleeper(auto& /*loop*/) {}
    auto sleep(std::int64_t delay) { return event::co::sleep(event::Duration(delay)); }
  };

  class Readable {
   public:
    Readable(auto& /*loop*/, int fd) : fd_(fd) {}
    auto wait() { return event::co::ready(fd_, event::Events::read); }

   private:
    int fd_;
  };

  class Channel {
   public:
    Channel(auto& /*loop*/, std::size_t capacity) : channel_(capacity) {}
    auto send(int value) { return channel_.send(value); }
    auto receive() { return channel_.receive(); }

   private:
    event::co::Channel<int> channel_;
  };

  class Semaphore {
   public:
    explicit Semaphore(auto& /*loop*/) : semaphore_(0) {}
    auto acquire() { return semaphore_.acquire(); }
    void release() { semaphore_.release(); }

   private:
    event::co::Semaphore semaphore_;
  };

  static auto with_timeout(auto& /*loop*/, std::int64_t limit, Task<> task) {
    return event::co::with_timeout(event::Duration(limit), std::move(task));
  }
};

}  // namespace bench
