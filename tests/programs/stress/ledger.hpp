// What became of each function that was posted to a base.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "event/event.hpp"

namespace event_cpp::stress {

// Says what is wrong and what everybody was doing, and ends the program.
[[noreturn]] void fail(const char* what, std::uint64_t is, std::uint64_t shall_be);

// Which of the threads this one is, in a ledger.
inline thread_local std::uint8_t this_poster = 0;

class Ledger;

// A post: the how-manieth of a thread and a priority it is. Small enough to be posted without an
// allocation, and moved by copying its bytes.
struct Slip {
  Ledger* ledger;
  std::uint32_t number;
  std::uint8_t poster;
  Priority priority;
};

// From before the base is made until after it has gone. Each thread numbers its own posts, and the
// base's thread sees that they run one by one: so none is lost, none runs twice, and none overtakes
// another. What had not run when the base went must have been destroyed then.
//
// Thread-safety: issue() from any thread; note_run() from the base's; close() when nobody else is
// left. The counters may be read at any time.
class Ledger {
 public:
  explicit Ledger(std::size_t posters) : issued_(posters), ran_(posters) {}
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  Slip issue(Priority priority) noexcept {
    posted_.fetch_add(1, std::memory_order_relaxed);
    std::uint32_t& last = issued_[this_poster][static_cast<std::size_t>(priority)];
    return {this, ++last, this_poster, priority};
  }

  void note_run(const Slip& slip) {
    std::uint32_t& last = ran_[slip.poster][static_cast<std::size_t>(slip.priority)];
    if (slip.number != last + 1) fail("a post ran out of turn", slip.number, last + 1);
    last = slip.number;
    runs_.fetch_add(1, std::memory_order_relaxed);
  }

  void opened() noexcept { open_.fetch_add(1, std::memory_order_relaxed); }
  void closed() noexcept { open_.fetch_sub(1, std::memory_order_relaxed); }

  std::uint64_t posted() const noexcept { return posted_.load(std::memory_order_relaxed); }
  std::uint64_t runs() const noexcept { return runs_.load(std::memory_order_relaxed); }
  bool all_ran() const noexcept { return runs() == posted(); }

  // The base is gone. Returns how many functions it never ran.
  std::uint64_t close() const {
    if (const std::int64_t open = open_.load(std::memory_order_relaxed); open != 0) {
      fail("what posts captured is destroyed once", static_cast<std::uint64_t>(open), 0);
    }
    std::uint64_t issued = 0;
    std::uint64_t ran = 0;
    for (std::size_t poster = 0; poster < issued_.size(); ++poster) {
      for (std::size_t p = 0; p < 3; ++p) {
        issued += issued_[poster][p];
        ran += ran_[poster][p];
      }
    }
    if (issued != posted()) fail("posts in the ledger", issued, posted());
    if (ran != runs() || ran > issued) fail("runs in the ledger", ran, runs());
    return issued - ran;
  }

 private:
  using Numbers = std::array<std::uint32_t, 3>;  // the last of each priority

  std::vector<Numbers> issued_;  // each thread its own
  std::vector<Numbers> ran_;     // the base's thread
  std::atomic<std::uint64_t> posted_{0};
  std::atomic<std::uint64_t> runs_{0};
  std::atomic<std::int64_t> open_{0};  // receipts
};

// Something captured: notices if it is destroyed twice or never, or if its bytes are copied.
class Receipt {
 public:
  explicit Receipt(Ledger& ledger) noexcept : ledger_(&ledger), self_(this) { ledger.opened(); }
  Receipt(Receipt&& other) noexcept : ledger_(std::exchange(other.ledger_, nullptr)), self_(this) {
    other.check();
  }
  ~Receipt() {
    check();
    self_ = nullptr;
    if (ledger_ != nullptr) ledger_->closed();
  }
  Receipt(const Receipt&) = delete;
  Receipt& operator=(const Receipt&) = delete;
  Receipt& operator=(Receipt&&) = delete;

 private:
  void check() const noexcept {
    if (self_ != this) fail("a capture is not where it was made", 1, 0);
  }

  Ledger* ledger_;
  Receipt* self_;
};

}  // namespace event_cpp::stress
