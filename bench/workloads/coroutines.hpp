// Coroutines: what it costs to await, to start, to switch, to wait and to cancel.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/clock.hpp"
#include "support/contender.hpp"
#include "support/system.hpp"
#include "workloads/memory.hpp"

namespace bench {

// `Body` has a coroutine run(operations).
template <HasCoroutines C, template <class> class Body>
class Coroutines {
 public:
  explicit Coroutines(std::size_t size) : body_(loop_, size) {}

  Figures run(std::uint64_t operations) {
    const Stopwatch watch;
    C::Coroutines::run(loop_, body_.run(operations));
    return watch.per_operation(operations);
  }

 private:
  typename C::Loop loop_;
  Body<C> body_;
};

template <class C, class T = void>
using TaskOf = typename C::Coroutines::template Task<T>;

// What the bodies have in common.
template <class C>
class Common {
 protected:
  using Co = typename C::Coroutines;
  using Loop = typename C::Loop;

  explicit Common(Loop& loop) : loop_(loop), group_(loop) {}

  Loop& loop_;
  typename Co::Group group_;
};

// A task awaits another, which ends at once.
template <class C>
class Child : Common<C> {
 public:
  Child(typename C::Loop& loop, std::size_t) : Common<C>(loop) {}

  TaskOf<C> run(std::uint64_t operations) {
    for (std::uint64_t i = 0; i < operations; ++i) {
      const std::uint64_t value = co_await child(i);
      sum_ = sum_ + value;
    }
  }

 private:
  static TaskOf<C, std::uint64_t> child(std::uint64_t value) { co_return value; }

  volatile std::uint64_t sum_ = 0;
};

// The other one lets others run first, of which there are none.
template <class C>
class WaitingChild : Common<C> {
 public:
  WaitingChild(typename C::Loop& loop, std::size_t) : Common<C>(loop) {}

  TaskOf<C> run(std::uint64_t operations) {
    for (std::uint64_t i = 0; i < operations; ++i) {
      const std::uint64_t value = co_await child(this->loop_, i);
      sum_ = sum_ + value;
    }
  }

 private:
  static TaskOf<C, std::uint64_t> child(typename C::Loop& loop, std::uint64_t value) {
    co_await C::Coroutines::yield(loop);
    co_return value;
  }

  volatile std::uint64_t sum_ = 0;
};

// Tasks are started beside this one, a hundred at a time. Each lets the others run once.
template <class C>
class Spawn : Common<C> {
 public:
  Spawn(typename C::Loop& loop, std::size_t) : Common<C>(loop) {}

  TaskOf<C> run(std::uint64_t operations) {
    for (std::uint64_t i = 0; i < operations; ++i) {
      this->group_.spawn(other(this->loop_));
      if (i % 100 == 99) co_await this->group_.join();
    }
    co_await this->group_.join();
  }

 private:
  static TaskOf<C> other(typename C::Loop& loop) { co_await C::Coroutines::yield(loop); }
};

// `size` tasks let each other run.
template <class C>
class Switch : Common<C> {
 public:
  Switch(typename C::Loop& loop, std::size_t size) : Common<C>(loop), size_(size) {}

  TaskOf<C> run(std::uint64_t operations) {
    for (std::size_t i = 0; i < size_; ++i) {
      this->group_.spawn(switch_often(this->loop_, operations / size_));
    }
    co_await this->group_.join();
  }

 private:
  static TaskOf<C> switch_often(typename C::Loop& loop, std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i) co_await C::Coroutines::yield(loop);
  }

  std::size_t size_;
};

// `size` tasks sleep, again and again, until the next iteration.
template <class C>
class Sleep : Common<C> {
 public:
  Sleep(typename C::Loop& loop, std::size_t size) : Common<C>(loop), size_(size) {}

  TaskOf<C> run(std::uint64_t operations) {
    for (std::size_t i = 1; i < size_; ++i) {
      this->group_.spawn(sleep_often(this->loop_, operations / size_));
    }
    co_await sleep_often(this->loop_, operations / size_);
    co_await this->group_.join();
  }

 private:
  static TaskOf<C> sleep_often(typename C::Loop& loop, std::uint64_t times) {
    typename C::Coroutines::Sleeper sleeper(loop);
    for (std::uint64_t i = 0; i < times; ++i) co_await sleeper.sleep(0);
  }

  std::size_t size_;
};

// A task waits for a descriptor, reads, and writes what it will read next.
template <class C>
class ReadOften : Common<C> {
 public:
  ReadOften(typename C::Loop& loop, std::size_t) : Common<C>(loop), readable_(loop, fd_) {}

  TaskOf<C> run(std::uint64_t operations) {
    std::uint64_t value = 1;
    for (std::uint64_t i = 0; i < operations; ++i) {
      if (::write(fd_, &value, sizeof value) < 0) fail("write");
      co_await readable_.wait();
      if (::read(fd_, &value, sizeof value) < 0) fail("read");
    }
  }

 private:
  int fd_ = make_eventfd();
  typename C::Coroutines::Readable readable_;
};

// One task sends, the other receives; `size` is the capacity between them.
template <class C>
class Hops : Common<C> {
 public:
  Hops(typename C::Loop& loop, std::size_t size) : Common<C>(loop), channel_(loop, size) {}

  TaskOf<C> run(std::uint64_t operations) {
    this->group_.spawn(send_often(channel_, operations));
    for (std::uint64_t i = 0; i < operations; ++i) {
      const auto value = co_await channel_.receive();
      static_cast<void>(value);
    }
    co_await this->group_.join();
  }

 private:
  using Channel = typename C::Coroutines::Channel;

  static TaskOf<C> send_often(Channel& channel, std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i) co_await channel.send(static_cast<int>(i));
  }

  Channel channel_;
};

// Two tasks wake each other in turn.
template <class C>
class Turns : Common<C> {
 public:
  Turns(typename C::Loop& loop, std::size_t) : Common<C>(loop), mine_(loop), other_(loop) {}

  TaskOf<C> run(std::uint64_t operations) {
    this->group_.spawn(take_turns(mine_, other_, operations / 2));
    co_await take_turns(other_, mine_, operations / 2);
    co_await this->group_.join();
  }

 private:
  using Semaphore = typename C::Coroutines::Semaphore;

  static TaskOf<C> take_turns(Semaphore& wakes, Semaphore& waits_for, std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; ++i) {
      wakes.release();
      co_await waits_for.acquire();
    }
  }

  Semaphore mine_;
  Semaphore other_;
};

// A task that lets others run once has a limit that does not come.
template <class C>
class Limited : Common<C> {
 public:
  Limited(typename C::Loop& loop, std::size_t) : Common<C>(loop) {}

  TaskOf<C> run(std::uint64_t operations) {
    for (std::uint64_t i = 0; i < operations; ++i) {
      co_await C::Coroutines::with_timeout(this->loop_, kSecond, limited(this->loop_));
    }
  }

 private:
  static TaskOf<C> limited(typename C::Loop& loop) { co_await C::Coroutines::yield(loop); }
};

// A task is started that awaits another, which awaits a third, which sleeps; and is cancelled.
template <class C>
class Cancel : Common<C> {
 public:
  Cancel(typename C::Loop& loop, std::size_t) : Common<C>(loop) {}

  TaskOf<C> run(std::uint64_t operations) {
    for (std::uint64_t i = 0; i < operations; ++i) {
      this->group_.spawn_to_cancel(outer(this->loop_));
      co_await C::Coroutines::yield(this->loop_);
      this->group_.cancel();
      co_await this->group_.join();
    }
  }

 private:
  static TaskOf<C> outer(typename C::Loop& loop) { co_await middle(loop); }
  static TaskOf<C> middle(typename C::Loop& loop) { co_await inner(loop); }
  static TaskOf<C> inner(typename C::Loop& loop) {
    typename C::Coroutines::Sleeper sleeper(loop);
    co_await sleeper.sleep(3600 * kSecond);
  }
};

// Bytes of heap of a task that sleeps: of its frame, before it is started; or of all that it takes.
template <HasCoroutines C, bool kStarted>
struct TaskMemory {
  Figures run(std::uint64_t count) {
    auto* const loop = new typename C::Loop;
    auto* const group = new typename C::Coroutines::Group(*loop);
    std::vector<TaskOf<C>> tasks;
    tasks.reserve(count);
    const std::size_t before = heap_in_use();
    for (std::uint64_t i = 0; i < count; ++i) {
      if constexpr (kStarted) {
        group->spawn(sleep_long(*loop));
      } else {
        tasks.push_back(sleep_long(*loop));
      }
    }
    loop->poll();
    return {{"bytes", static_cast<double>(heap_in_use() - before) / static_cast<double>(count)}};
  }

 private:
  static TaskOf<C> sleep_long(typename C::Loop& loop) {
    typename C::Coroutines::Sleeper sleeper(loop);
    co_await sleeper.sleep(3600 * kSecond);
  }
};

}  // namespace bench
