// Crowd: all clients of a run, and the loop that drives them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>

#include "load/session.hpp"
#include "load/world.hpp"

namespace load {

// A loop written by hand on epoll, in one thread: what is tested must not test itself.
class Crowd {
 public:
  struct Options {
    std::uint64_t seed = 1;
    double scale = 1;                    // of all random times
    std::chrono::seconds patience{120};  // nobody waits longer for what should take no time
    std::uint64_t hopeless = 100;        // it gives up after so many failures
  };

  Crowd(std::uint16_t port, const Options& options)
      : world_(port, options.seed, options.scale), options_(options) {}

  void add(Role role) { sessions_.emplace_back(world_, role, sessions_.size()); }

  World& world() noexcept { return world_; }
  std::size_t size() const noexcept { return sessions_.size(); }

  // The sessions [first, last) do so from now on, and begin with it spread over a while.
  void set_mode(Mode mode, std::size_t first, std::size_t last, Span spread = {});

  // So many of those that are parked, from session `first` on.
  void greet_again(std::size_t first, std::size_t count);
  void leave(std::size_t first, std::size_t count);
  void flood(std::size_t first, std::size_t count, std::uint64_t bytes);

  // Runs until then, or until done() says so, which is asked often; `each_second` is called so.
  // Returns at once if it has given up. Returns whether done() said so.
  bool run(Span time, const std::function<bool()>& done, const std::function<void()>& each_second);

  // Nothing has moved for so long.
  bool still_for(Span time) const { return world_.now() - world_.last_progress >= time; }

  // Whether all of [first, last) are.
  bool all(std::size_t first, std::size_t last, bool (Session::*are)() const noexcept) const;

 private:
  template <class Act>
  void each_parked(std::size_t first, std::size_t count, Act act);
  void turn();
  void check_progress();

  World world_;
  const Options options_;
  std::deque<Session> sessions_;  // they stay where they are
  Time checked_at_{};
};

}  // namespace load
