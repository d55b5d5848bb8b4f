// A program that uses all of a base, and must come to the same end whatever fails on its way once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <system_error>

#include "event/event.hpp"
#include "support/descriptors.hpp"

namespace event_cpp::test {

// What it counts.
enum class Counted : std::uint8_t {
  one_shot,      // an event on a descriptor that is ready
  persistent,    // fires for each of three bytes
  shared,        // two events on one descriptor
  crowd,         // more ready descriptors than a small batch holds
  writable,      // on the other end of a pipe
  file,          // on a descriptor that cannot be waited for
  reattached,    // detached, and attached again without assign()
  assigned,      // one event on one descriptor, and then on another
  timed_out,     // an event on a silent descriptor, attached again by its callback
  idle_timeout,  // a persistent event on a silent descriptor
  timer,         // attached again by its callback
  timers,        // many
  ticks,         // periods of a ticker, skipped ones included
  rearmed,       // a timer that is moved later and earlier
  posted,        // functions, small and large, some of them by callbacks
  after,
  once,
  never,  // events that were detached or destroyed, and failed reads
  last    // a name for none of them
};

using Counts = std::array<int, static_cast<std::size_t>(Counted::last)>;

// Every call that may fail is made again if it does, once. What a call throws is an error of the
// allocation or of the system; anything else ends the run.
class Scenario {
 public:
  explicit Scenario(const Options& options);
  Scenario(const Scenario&) = delete;
  Scenario& operator=(const Scenario&) = delete;

  // Calls `failed` for each error that a call has reported, before making the call again.
  void run(const std::function<void()>& failed);

  // Takes everything down, with something attached and something posted.
  void finish();

  const Counts& counts() const noexcept { return counts_; }
  bool hung() const noexcept { return hung_; }
  std::size_t left() const noexcept { return left_; }  // attached after the run, of those that fire

  static const Counts& expected() noexcept;

 private:
  static constexpr std::size_t kCrowd = 70;
  static constexpr std::size_t kTimers = 20;
  static constexpr int kPosts = 70;

  template <class Step>
  void attempt(Step&& step);
  template <class F>
  void make(std::optional<Event>& event, int fd, Events events, F&& callback);
  template <class F>
  void attach(std::optional<Event>& event, int fd, Events events, Duration timeout, F&& callback);

  void count(Counted what) noexcept { ++counts_[static_cast<std::size_t>(what)]; }
  int counted(Counted what) const noexcept { return counts_[static_cast<std::size_t>(what)]; }
  auto counter(Counted what) {
    return [this, what] { count(what); };
  }

  void attach_descriptors();
  void attach_more_descriptors();
  void attach_timers();
  void attach_ticker();
  void post_all();

  Options options_;
  const std::function<void()>* failed_ = nullptr;
  Counts counts_{};
  bool hung_ = false;
  std::size_t left_ = 0;

  const Pipe ready_ = readable_pipe();
  const Pipe three_bytes_ = make_pipe();
  const Pipe silent_ = make_pipe();
  const Fd file_ = regular_file();
  std::array<Fd, kCrowd> copies_;

  // Some of the events end before the base, some after it.
  std::optional<Event> one_shot_, persistent_, writable_, on_file_, assigned_;
  std::array<std::optional<Event>, 2> shared_;
  std::array<std::optional<Event>, kCrowd> crowd_;
  std::optional<Base> base_;
  std::optional<Event> reattached_, timed_out_, idle_timeout_, detached_, destroyed_;
  std::optional<Timer> timer_, rearmed_, bound_;
  std::array<std::optional<Timer>, kTimers> timers_;
  std::optional<Ticker> ticker_;
};

}  // namespace event_cpp::test
