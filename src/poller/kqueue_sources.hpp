// What kqueue(2) watches beside descriptors: wake-ups, signals and processes, each a knote in the
// queue that watches the descriptors.
#pragma once

#include <sys/event.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <new>
#include <vector>

#include "poller/kernel_queue.hpp"
#include "poller/kqueue_calls.hpp"
#include "poller/poller.hpp"

namespace event_cpp::detail {

class KqueueSources {
 public:
  explicit KqueueSources(KqueueCalls& calls) noexcept : calls_(calls) {}

  // As Poller says. OpenBSD and NetBSD before 10 have no EVFILT_USER.
  int watch(Source source, int ident) noexcept {
    if (source == Source::process) return watch_process(ident);
    if (source == Source::signal) return calls_.tell(make_change(ident, EVFILT_SIGNAL, EV_ADD));
#if defined(EVFILT_USER)
    return calls_.tell(make_change(ident, EVFILT_USER, EV_ADD | EV_CLEAR));
#else
    return ENOTSUP;
#endif
  }

  // With the next call, or flush().
  void unwatch(Source source, int ident) noexcept {
    if (source == Source::signal) calls_.queue(make_change(ident, EVFILT_SIGNAL, EV_DELETE));
    if (source != Source::process) return;
    const auto found = find(ident);
    if (found == processes_.end()) return;  // it was reported, which removed it
    if (found->is_held) {
      --held_;
    } else {
      calls_.queue(make_change(ident, EVFILT_PROC, EV_DELETE));
    }
    processes_.erase(found);
  }

  void wake() const noexcept {
#if defined(EVFILT_USER)
    calls_.trigger(make_change(0, EVFILT_USER, 0, NOTE_TRIGGER));
#endif
  }

  // The queue that watched them is gone.
  void clear() noexcept {
    processes_.clear();
    held_ = 0;
    holds_signal_ = false;
  }

  // What a report of the kernel says that is of no descriptor. Returns false if it is of nothing
  // that anybody watches.
  bool understand(const struct kevent& report, ReadyEvent& ready) noexcept {
    const int ident = static_cast<int>(report.ident);
    if (report.filter == EVFILT_PROC) {
      const auto found = find(ident);
      if (found == processes_.end()) return false;
      processes_.erase(found);
      ready = ReadyEvent::of(Source::process, ident);
      return true;
    }
    ready = ReadyEvent::of(report.filter == EVFILT_SIGNAL ? Source::signal : Source::wakeup, ident);
    return true;
  }

  // The kernel reports these only once: what was taken while nobody waited is held until the next
  // wait. A wake-up is not: who rests looks at what it was for.
  void hold(const struct kevent& report) noexcept {
    if (report.filter == EVFILT_SIGNAL) holds_signal_ = true;
    if (report.filter != EVFILT_PROC) return;
    const auto found = find(static_cast<int>(report.ident));
    if (found == processes_.end()) return;
    found->is_held = true;
    ++held_;
  }

  bool holds_any() const noexcept { return holds_signal_ || held_ != 0; }

  // Reports what is held, and leaves half of the batch to the kernel.
  void report_held(ReadyBatch& batch) noexcept {
    if (holds_signal_) batch.push(ReadyEvent::of(Source::signal, 0));
    holds_signal_ = false;
    const std::size_t most = batch.capacity() / 2;
    const auto is_taken = [&](const Process& each) {
      if (!each.is_held || batch.size() >= most) return false;
      --held_;
      batch.push(ReadyEvent::of(Source::process, each.pid));
      return true;
    };
    processes_.erase(std::remove_if(processes_.begin(), processes_.end(), is_taken),
                     processes_.end());
  }

 private:
  // That is watched, or whose end is held.
  struct Process {
    int pid;
    bool is_held;
  };

  // Some systems say ESRCH of one that has ended, and others report it at once.
  int watch_process(int pid) noexcept {
    if (find(pid) != processes_.end()) return 0;
    try {
      processes_.push_back({pid, false});
    } catch (const std::bad_alloc&) {
      return ENOMEM;
    }
    const int error = calls_.tell(make_change(pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT));
    if (error != 0) processes_.pop_back();
    return error;
  }

  std::vector<Process>::iterator find(int pid) noexcept {
    return std::find_if(processes_.begin(), processes_.end(),
                        [pid](const Process& each) { return each.pid == pid; });
  }

  KqueueCalls& calls_;
  std::vector<Process> processes_;
  std::size_t held_ = 0;  // of those
  bool holds_signal_ = false;
};

}  // namespace event_cpp::detail
