// The calls of kevent(2) that the kqueue backend makes.
#pragma once

#include <sys/event.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <system_error>

#include "base/no_cancellation.hpp"
#include "event/time.hpp"
#include "poller/kernel_queue.hpp"
#include "poller/kqueue_changes.hpp"
#include "sys/deadline.hpp"

namespace event_cpp::detail {

// A kqueue(2), and changes that wait for the next call that is made anyway.
class KqueueCalls {
 public:
  static constexpr std::size_t kMostQueued = 32;  // a batch has room for an error of each

  // Errors: throws std::system_error.
  KqueueCalls() {
    if (const int error = reopen(); error != 0) {
      throw std::system_error(error, std::system_category(), "kqueue");
    }
  }
  ~KqueueCalls() {
    release_lost();
    close_kqueue(queue_, forks_);
  }
  KqueueCalls(const KqueueCalls&) = delete;
  KqueueCalls& operator=(const KqueueCalls&) = delete;

  // In the child of a fork: a queue of its own, and no change waits for it. Returns 0 or an errno.
  int reopen() noexcept {
    change_count_ = 0;
    release_lost();
    return reopen_kqueue(queue_, forks_);
  }

  // -1 once it was given up.
  int fd() const noexcept { return is_lost_.load(std::memory_order_relaxed) ? -1 : queue_.get(); }

  // The queue was closed behind the library's back: the number may be another file's, so that it is
  // neither used nor closed from now on, until reopen().
  void give_up() noexcept { is_lost_.store(true, std::memory_order_relaxed); }

  // For the next call that is made anyway. Errors are of knotes that went with their descriptor.
  void queue(const struct kevent& change) noexcept {
    if (change_count_ == kMostQueued) flush();
    // Still full, if the kernel would not: what is lost is made up for when it shows.
    if (change_count_ < kMostQueued) changes_[change_count_++] = change;
  }

  void flush() noexcept {
    if (change_count_ == 0) return;
    changes_[change_count_ - 1].flags |= EV_RECEIPT;  // or what is ready would be taken, and lost
    std::array<struct kevent, kMostQueued> errors;
    const int count =
        tell_kqueue(fd(), changes_.data(), change_count_, errors.data(), change_count_);
    if (count >= 0) change_count_ = 0;
  }

  // Makes one change, after those that are queued. Returns 0 or an errno.
  int tell(const struct kevent& change) noexcept {
    flush();
    return tell_kqueue(fd(), &change, 1, nullptr, 0) < 0 ? errno : 0;
  }

  // The same of several. Returns the errno of the call, and then nothing has changed.
  int submit(const KqueueChanges& changes, KqueueOutcome& outcome) noexcept {
    std::array<struct kevent, kMostQueued + KqueueChanges::kMost> results;
    std::copy(changes.begin(), changes.end(), changes_.begin() + change_count_);
    const std::size_t all = change_count_ + changes.size();
    const int count = tell_kqueue(fd(), changes_.data(), all, results.data(), all);
    if (count < 0) return errno;
    change_count_ = 0;
    // The queued ones are answered if they failed, these in any case.
    const std::size_t first = static_cast<std::size_t>(count) - changes.size();
    for (std::size_t i = 0; i < changes.size(); ++i) {
      outcome.note(changes, i, static_cast<int>(results[first + i].data));
    }
    return 0;
  }

  // Takes what is ready; if nothing is, and `block`, waits for it, which a cancellation of the
  // thread may unwind. Errors of changes come instead of what is ready. Returns how many, or -1,
  // and then errno says why.
  int take(TimePoint deadline, bool block, struct kevent* entries, std::size_t room) {
    int count = 0;
    do {
      count = block ? sleep(deadline, entries, room) : take_now(entries, room);
    } while (count > 0 && (entries[count - 1].flags & EV_ERROR) != 0);
    return count;
  }

  // Has a knote of EVFILT_USER report. Thread-safety: any thread, and any signal handler; keeps
  // errno.
  void trigger(const struct kevent& change) const noexcept {
    if (is_left_behind(forks_)) return;
    const int saved = errno;
    static_cast<void>(tell_kqueue(fd(), &change, 1, nullptr, 0));
    errno = saved;
  }

 private:
  int sleep(TimePoint deadline, struct kevent* entries, std::size_t room) {
    constexpr Duration kLongest = std::chrono::hours(24 * 7);  // some systems refuse years
    if (deadline == TimePoint::max()) return take_within(nullptr, entries, room);
    const timespec timeout = to_timespec(std::min(time_left(deadline), kLongest));
    return take_within(&timeout, entries, room);
  }

  int take_now(struct kevent* entries, std::size_t room) noexcept {
    const NoCancellation now;
    const timespec timeout{};
    return take_within(&timeout, entries, room);
  }

  // kevent(2) with what is queued, which is done even if the call is interrupted. If it is unwound
  // they are queued still: doing them again does no harm.
  int take_within(const timespec* timeout, struct kevent* entries, std::size_t room) {
    const int count = ::kevent(fd(), changes_.data(), static_cast<KqueueCount>(change_count_),
                               entries, static_cast<KqueueCount>(room), timeout);
    if (count >= 0 || errno == EINTR) change_count_ = 0;
    return count;
  }

  // Not closed if it is not ours any more.
  void release_lost() noexcept {
    if (is_lost_.exchange(false, std::memory_order_relaxed)) static_cast<void>(queue_.release());
  }

  UniqueFd queue_;
  std::uint32_t forks_ = 0;  // as counted when it was made
  std::atomic<bool> is_lost_{false};
  std::array<struct kevent, kMostQueued + KqueueChanges::kMost> changes_;
  std::size_t change_count_ = 0;  // queued ones
};

}  // namespace event_cpp::detail
