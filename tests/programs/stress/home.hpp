// Where a base can be found by other threads while it lives: the protocol that a program needs.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <thread>
#include <utility>

#include "event/event.hpp"
#include "stress/ledger.hpp"

namespace event_cpp::stress {

// How a base is run.
enum class Drive : std::uint8_t {
  dispatch,  // until it is stopped
  once,      // loop(RunMode::once) again and again
  polled,    // loop(RunMode::nonblock) whenever poll(2) says that fd() is readable
  nested,    // the same in another base
  dormant    // not at all
};
inline constexpr std::size_t kDrives = 5;

// A base and all that goes with it; as a whole it may go from one thread to another.
struct Tenancy {
  explicit Tenancy(std::size_t posters) : ledger(posters) {}

  Ledger ledger;
  std::unique_ptr<Base> base;
  std::optional<Signal> signal;
  std::optional<Ticker> ticker;
  Drive drive = Drive::dispatch;
  std::atomic<std::uint64_t> raised{0};  // signals, counted before
  std::atomic<std::uint64_t> seen{0};    // of these, by the callback of `signal`

  bool is_done() const noexcept { return ledger.all_ran() && seen.load() == raised.load(); }
};

// Threads come and go with a shared lock: while they hold it the base is there. Who wants the base
// to end says so first, and nobody comes any more; the owner then takes the lock alone, and knows
// that all have left.
class Home {
 public:
  Home(std::size_t its_number, bool one_at_a_time) noexcept
      : number(its_number), lonely(one_at_a_time) {}

  class Visit {
   public:
    explicit Visit(Home& home) : lock_(home.mutex_, std::defer_lock) {
      if (home.ending.load()) return;
      lock_.lock();
      tenancy_ = home.tenancy_;
    }
    explicit operator bool() const noexcept { return tenancy_ != nullptr; }
    Base& base() const noexcept { return *tenancy_->base; }
    Tenancy& tenancy() const noexcept { return *tenancy_; }
    // From here on the base is only there because nobody else would end it.
    Base& leave() noexcept {
      Base& base = *tenancy_->base;
      tenancy_ = nullptr;
      lock_.unlock();
      return base;
    }

   private:
    std::shared_lock<std::shared_mutex> lock_;
    Tenancy* tenancy_ = nullptr;
  };

  void move_in(Tenancy& tenancy) {
    const std::lock_guard lock(mutex_);
    tenancy_ = &tenancy;
    ending = false;
  }
  void move_out() {
    ending = true;
    const std::lock_guard lock(mutex_);
    tenancy_ = nullptr;
  }

  const std::size_t number;
  // Lonely homes have one visitor at a time, who waits for the effect of each thing that he does:
  // nobody else's post or stop can make good for one that was lost.
  const bool lonely;
  std::mutex visitors;  // of a lonely home
  // With these its visitor keeps the base in a callback, or its owner from running it again.
  std::atomic<bool> busy{false};
  std::atomic<bool> resting{false};

  static void wait_while(const std::atomic<bool>& kept) noexcept {
    while (kept) std::this_thread::yield();
  }

  std::atomic<bool> ending{true};
  std::atomic<std::uint64_t> entered{0};   // how often the owner has begun to run the base, or to
  std::atomic<std::uint64_t> returned{0};  // wait for its descriptor, and how often it came back
  std::atomic<std::uint64_t> stops{0};

 private:
  std::shared_mutex mutex_;
  Tenancy* tenancy_ = nullptr;  // guarded by mutex_
};

}  // namespace event_cpp::stress
