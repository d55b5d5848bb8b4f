// A loop written by hand on epoll: no checks, no generality, the practical limit.
#pragma once

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <cstdint>

#include "support/clock.hpp"
#include "support/contender.hpp"
#include "support/system.hpp"
#include "support/task_queue.hpp"
#include "support/timer_heap.hpp"

namespace bench {

// What the user data of a descriptor points to.
struct EpollWatch {
  void (*call)(EpollWatch*) = nullptr;
  int fd = -1;
};

// Equal timeouts expire in the order in which they were started: a list does.
struct EpollIdle {
  EpollIdle* previous = this;
  EpollIdle* next = this;
  std::int64_t deadline = 0;

  void unlink() {
    previous->next = next;
    next->previous = previous;
  }
};

class EpollLoop {
 public:
  explicit EpollLoop(bool precise = false) {
    if (precise) ::prctl(PR_SET_TIMERSLACK, 1UL);
  }
  EpollLoop(const EpollLoop&) = delete;
  EpollLoop& operator=(const EpollLoop&) = delete;

  void run() {
    if (has_timers()) now_ = bench::now();
    for (stopped_ = false; !stopped_;) turn(true);
  }
  void poll() { turn(false); }
  void turn(bool block) {
    const int count = wait(block);
    if (has_timers()) now_ = bench::now();
    for (int i = 0; i < count; ++i) {
      auto* const watch = static_cast<EpollWatch*>(ready_[static_cast<std::size_t>(i)].data.ptr);
      watch->call(watch);
    }
    while (!timers_.empty() && timers_.first() <= now_) {
      HeapTimer* const timer = timers_.pop();
      timer->call(timer);
    }
    if (idles_.next != &idles_ && idles_.next->deadline <= now_) idle_timeout_came();
  }
  void stop() { stopped_ = true; }
  void settle() {}
  void refresh() { now_ = bench::now(); }

  void control(int operation, EpollWatch& watch, std::uint32_t events) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = &watch;
    checked(::epoll_ctl(epoll_, operation, watch.fd, &event), "epoll_ctl");
  }

  void touch(EpollIdle& idle) {
    idle.deadline = now_ + kIdleSeconds * kSecond;
    idle.unlink();
    idle.next = &idles_;
    idle.previous = idles_.previous;
    idles_.previous->next = &idle;
    idles_.previous = &idle;
  }

  TimerHeap& timers() { return timers_; }

  // Of the last turn.
  std::int64_t now() const { return now_; }

  void accept_posts() {
    posted_.call = [](EpollWatch* watch) {
      auto* posted = static_cast<Posted*>(watch);
      std::uint64_t count = 0;
      if (::read(posted->fd, &count, sizeof count) > 0) posted->tasks.run_all();
    };
    posted_.fd = make_eventfd();
    control(EPOLL_CTL_ADD, posted_, EPOLLIN);
  }
  void post(Task task) {
    const std::uint64_t one = 1;
    if (posted_.tasks.push(task) && ::write(posted_.fd, &one, sizeof one) < 0) fail("write");
  }

 private:
  struct Posted : EpollWatch {
    TaskQueue tasks;
  };

  bool has_timers() const { return !timers_.empty() || idles_.next != &idles_; }

  std::int64_t earliest() const {
    if (idles_.next == &idles_) return timers_.first();
    if (timers_.empty() || idles_.next->deadline < timers_.first()) return idles_.next->deadline;
    return timers_.first();
  }

  int wait(bool block) {
    const int capacity = static_cast<int>(ready_.size());
    if (!block || !has_timers()) {
      return ::epoll_wait(epoll_, ready_.data(), capacity, block ? -1 : 0);
    }
    // By the time of the last turn, which callbacks have let grow a little old: a far deadline is
    // waited for in two steps, a near one by the clock.
    if (const std::int64_t left = earliest() - now_; left >= kSecond) {
      return ::epoll_wait(epoll_, ready_.data(), capacity,
                          static_cast<int>(left / kMillisecond / 2));
    }
    const std::int64_t left = earliest() - bench::now();
    if (left <= 0) return ::epoll_wait(epoll_, ready_.data(), capacity, 0);
    const timespec timeout{left / kSecond, left % kSecond};
    return ::epoll_pwait2(epoll_, ready_.data(), capacity, &timeout, nullptr);
  }

  int epoll_ = checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  bool stopped_ = false;
  std::int64_t now_ = bench::now();
  TimerHeap timers_;
  EpollIdle idles_;
  Posted posted_;
  std::array<epoll_event, 1024> ready_{};
};

}  // namespace bench
