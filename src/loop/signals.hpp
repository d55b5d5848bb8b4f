// Signals: from the process's handler to the events of a base.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "event/detail/node.hpp"
#include "loop/attention.hpp"
#include "loop/waker.hpp"
#include "poller/pending_signals.hpp"
#include "sys/let_through.hpp"

namespace event_cpp::detail {

// The signal events of one base. The handler sets a bit for the signal in every base that has an
// event on it, and wakes the ones that sleep: no pipe that could be full, and nothing in it that a
// handler must not do. The loop then takes the bits and makes the events active.
//
// No handler runs for a signal that every thread has blocked, at any time while it is watched. So
// blocked() has the kernel report every signal that stays pending, where it can; what it reports
// goes the handler's way from there on. Where a thread does not block the signal both paths are
// open, and a signal takes one of them.
//
// Thread-safety: belongs to the loop's thread; what the handler calls, to any.
class Signals {
 public:
  Signals(Waker& waker, Poller& poller) noexcept : waker_(waker), blocked_(poller) {}
  ~Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;

  // Adds an event on signal node.fd(). Returns 0 or an errno, and then has changed nothing.
  int add(Node& node) noexcept;

  // Requires: it was added.
  void remove(Node& node) noexcept;

  // Calls activate(node) for each event whose signal has come since the last call, in the order of
  // attaching. activate() may throw: what was not activated then comes again.
  template <class Activate>
  [[gnu::always_inline]] inline void collect(Activate&& activate) {
    const Set came = take();
    try {
      for (Node* const node : nodes_) {
        if (came.has(node->descriptor)) activate(*node);
      }
    } catch (...) {
      note(came);
      throw;
    }
  }

  // For the kernel's report that blocked() is readable.
  void take_blocked() noexcept;

  // Takes what is pending of the signals that this thread has blocked.
  void take_pending() noexcept;
  PendingSignals& blocked() noexcept { return blocked_; }

  // In the child of a fork: what is shared with the parent is let go of.
  void detach_after_fork() noexcept { blocked_.close(); }

  // In the child of a fork: from now on the events are told of signals that this process gets. What
  // it got before was handled as if they were not there.
  void after_fork() noexcept;

  // Whether SIGCHLD is such that the kernel reaps children which end; while there is an event on
  // it, whether it was.
  static bool is_former_ignoring_children() noexcept;

  bool empty() const noexcept { return nodes_.empty(); }

  template <class F>
  void for_each(F&& f) const {
    for (const Node* const node : nodes_) f(*node);
  }

  // Calls f(node) for each event and removes it.
  template <class F>
  void clear(F&& f) noexcept {
    while (!nodes_.empty()) {
      Node& node = *nodes_.back();
      remove(node);
      f(node);
    }
  }

 private:
  friend class SignalHandlers;

  static constexpr unsigned kWordBits = 64;

  // Two words and no array: it stays in registers.
  struct Set {
    std::uint64_t low;
    std::uint64_t high;
    bool has(int signo) const noexcept {
      const std::uint64_t word = signo <= static_cast<int>(kWordBits) ? low : high;
      return (word >> static_cast<unsigned>(signo - 1) % kWordBits & 1) != 0;
    }
  };

  static std::size_t word_of(int signo) noexcept {
    return static_cast<unsigned>(signo - 1) / kWordBits;
  }
  static std::uint64_t bit_of(int signo) noexcept {
    return std::uint64_t{1} << static_cast<unsigned>(signo - 1) % kWordBits;
  }

  using AtomicSet = std::array<std::atomic<std::uint64_t>, kMostSignals / kWordBits>;
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "signal handlers use it");

  bool has_event_on(int signo) const noexcept;
  bool is_interested_in(int signo) const noexcept {
    return (interesting_[word_of(signo)].load() & bit_of(signo)) != 0;
  }
  // A signal that comes in between sets kSignalled again.
  Set take() noexcept {
    waker_.attention().clear(Attention::kSignalled);
    const std::uint64_t low = came_[0].exchange(0);
    return {low, came_[1].exchange(0)};
  }
  bool note(int signo) noexcept;  // returns whether there is an event on it
  void note(Set came) noexcept;
  void wake_loop() noexcept;

  Waker& waker_;
  std::vector<Node*> nodes_;  // in the order of attaching
  PendingSignals blocked_;
  AtomicSet interesting_{};  // signals with an event
  AtomicSet came_{};
  std::atomic<Signals*> next_{nullptr};  // in the list of SignalHandlers
  bool linked_ = false;                  // is in that list; guarded by its lock
};

}  // namespace event_cpp::detail
