// What a run has been told of errors, and what it has missed: in memory that it shares with its
// children, without allocating any.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <new>
#include <system_error>

#include "faults.hpp"

namespace event_cpp::faults {

// Ends a run that has lost what it waits for; nothing else ever takes so long.
inline constexpr std::chrono::seconds kBound{20};

// Thread-safety: any thread, any process that was forked after it was made.
class Journal {
 public:
  // One in shared memory, for ever. Errors: throws std::system_error.
  static Journal& open();

  // An error that has no number.
  static constexpr int kUnknown = -1;

  // A call has reported an error of the system.
  void report(const char* step, int error) noexcept { note(Entry{step, error}); }

  // Something that should have happened has not, or the other way round.
  void miss(const char* what) noexcept { note(Entry{what, 0}); }
  void expect(bool right, const char* what) noexcept {
    if (!right) miss(what);
  }

  bool anything_missed() const noexcept;

  // A line for each entry: "reported ERRNO STEP", "reported unknown STEP" or "missed WHAT".
  void print() const;

 private:
  struct Entry {
    const char* what;
    int error;  // 0: missed
  };

  void note(const Entry& entry) noexcept {
    const std::size_t place = size_++;
    if (place < entries_.size()) entries_[place] = entry;
  }
  std::size_t size() const noexcept;

  std::atomic<std::size_t> size_{0};
  std::array<Entry, 200> entries_{};
};

// A step that failed for the second time: the run cannot come to its end.
struct GivenUp {
  const char* step;
};

// Runs a step, and once again if it reports an error of the system. Anything else that it throws
// comes out of here. Errors: throws GivenUp.
template <class Step>
void attempt(Journal& journal, const char* name, Step&& step) {
  for (int left = 1;; --left) {
    try {
      step();
      return;
    } catch (const std::bad_alloc&) {
      journal.report(name, ENOMEM);
    } catch (const std::system_error& error) {
      if (error.code().category() != std::system_category()) throw;
      journal.report(name, error.code().value());
    }
    if (left == 0) throw GivenUp{name};
  }
}

}  // namespace event_cpp::faults
