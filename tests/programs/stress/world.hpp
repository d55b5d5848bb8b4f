// What the threads share: the homes of the bases, what was counted, and who is doing what.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "stress/home.hpp"
#include "support/seeded_random.hpp"

namespace event_cpp::stress {

using test::Random;

struct Settings {
  std::uint64_t lives = 100;           // of bases, after which it ends,
  std::chrono::seconds length{0};      // or after so long, if this is not zero
  std::chrono::seconds patience{120};  // how long anything may take that should take no time
  std::size_t actors = 8;
  std::size_t homes = 5;
  unsigned seed = 1;
  std::vector<Backend> backends;
};

struct Figures {
  std::atomic<std::uint64_t> posted{0}, run{0}, unrun{0}, thrown{0};
  std::atomic<std::uint64_t> returns{0}, signals{0};
  std::atomic<std::uint64_t> bases{0}, handed_over{0}, drained{0}, ended_from_outside{0};
  std::atomic<std::uint64_t> by_drive[kDrives]{};
  std::atomic<std::uint64_t> by_backend[5]{};
  std::atomic<std::int64_t> longest_wait{0};  // nanoseconds, for something to have its effect
};

// What a thread is doing, for whoever looks why nothing goes on. Nothing: it may take for ever.
class Doing {
 public:
  explicit Doing(std::string who) : who_(std::move(who)) {}

  void begin(const char* what, std::size_t home) noexcept {
    home_.store(home, std::memory_order_relaxed);
    since_.store(std::chrono::steady_clock::now().time_since_epoch().count(),
                 std::memory_order_relaxed);
    what_.store(what, std::memory_order_release);
  }
  void end() noexcept { what_.store(nullptr, std::memory_order_release); }

  // Empty if it is doing nothing.
  std::string describe() const;
  std::chrono::nanoseconds age() const noexcept;

 private:
  std::string who_;
  std::atomic<const char*> what_{nullptr};
  std::atomic<std::size_t> home_{0};
  std::atomic<std::int64_t> since_{0};
};

class World {
 public:
  explicit World(const Settings& chosen);

  const Settings settings;
  Figures figures;
  std::deque<Home> homes;
  std::deque<Doing> doing;  // actors, then owners
  std::atomic<bool> over{false};

  std::size_t posters() const noexcept { return doing.size(); }

  // Bases that are to be destroyed by another thread than the one that ran them.
  void hand_over(std::unique_ptr<Tenancy> tenancy);
  std::unique_ptr<Tenancy> take_over();

  // Ends the program with a report if anybody has been doing the same thing for too long.
  void look_for_hangs() const;
  std::string report() const;

  void count_wait(std::chrono::nanoseconds took) noexcept;

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Tenancy>> left_;  // guarded by mutex_
};

// For fail().
inline const World* the_world = nullptr;

// The base is not run any more, and nobody can reach it: runs what is outstanding, if `drain`, and
// destroys it, with what was attached to it.
void bury(World& world, std::unique_ptr<Tenancy> tenancy, Random& random, bool drain);

}  // namespace event_cpp::stress
