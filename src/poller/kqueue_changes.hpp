// What kevent(2) is given so that a descriptor is watched in another way, and what became of it.
#pragma once

#include <sys/event.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "poller/kernel_queue.hpp"
#include "poller/kqueue_map.hpp"

namespace event_cpp::detail {

// Of this system.
inline constexpr KqueueConstants kKqueueConstants {
  .read = EVFILT_READ, .write = EVFILT_WRITE,
#if defined(EVFILT_EXCEPT) && defined(NOTE_OOB)
  .has_except = true, .except = EVFILT_EXCEPT, .eof = EV_EOF, .oob = NOTE_OOB,
#else
  .has_except = false, .except = 0, .eof = EV_EOF, .oob = 0,
#endif
};

// By their places in a KqueueWatch.
inline constexpr std::array<std::int64_t, KqueueWatch::kFilters> kFilterNumbers{
    kKqueueConstants.read, kKqueueConstants.write, kKqueueConstants.except};

inline std::size_t place_of(std::int64_t filter) noexcept {
  const auto* const found = std::find(kFilterNumbers.begin(), kFilterNumbers.end(), filter);
  return static_cast<std::size_t>(found - kFilterNumbers.begin());
}

// The knotes of a descriptor, one for each filter.
struct Knotes {
  std::uint32_t generation = 0;
  KqueueWatch told;  // what the kernel was told, or is about to be

  struct kevent change(int fd, std::size_t filter, unsigned flags) const noexcept {
    return make(fd, filter, flags, told.by[filter]);
  }

  struct kevent addition(int fd, std::size_t filter, Watching how) const noexcept {
    unsigned flags = EV_ADD;
    if (how == Watching::off) flags |= EV_DISABLE;
    if (how > Watching::level) flags |= EV_CLEAR;
    return make(fd, filter, flags, how);
  }

 private:
  // Some systems take over all of a change, also of one that does not add.
  struct kevent make(int fd, std::size_t filter, unsigned flags, Watching how) const noexcept {
    constexpr std::int64_t kMoreThanThereIs = INT32_MAX;
    unsigned fflags = 0;
    std::int64_t data = 0;
    if (reports_end_alone(how)) {
      fflags = NOTE_LOWAT;
      data = kMoreThanThereIs;
    }
#if defined(EVFILT_EXCEPT) && defined(NOTE_OOB)
    if (filter == KqueueWatch::kExcept) fflags = NOTE_OOB;
#endif
    return make_change(fd, kFilterNumbers[filter], flags, fflags, data, to_user_data(generation));
  }
};

// Changes of one descriptor, each with what it makes of its filter. Each has a receipt.
class KqueueChanges {
 public:
  static constexpr std::size_t kMost = 2 * KqueueWatch::kFilters + 1;

  // The way from what the kernel was told to `to`. A knote that was added keeps its way of
  // reporting, so that for another one it is made anew. With `check`, the first change is one of a
  // knote that is there: it tells whether the number stands for the same file.
  KqueueChanges(int fd, const Knotes& knotes, const KqueueWatch& to, bool check) noexcept {
    if (check) check_first(fd, knotes, to);
    for (std::size_t filter = 0; filter < KqueueWatch::kFilters; ++filter) {
      const Watching from = knotes.told.by[filter];
      const Watching next = to.by[filter];
      if (from == next && !reports_changes(next)) continue;
      if (next == Watching::off && from != Watching::none) {
        push(knotes.change(fd, filter, EV_DISABLE), filter, next);
      } else {
        replace(fd, knotes, filter, next);
      }
    }
  }

  // The way back to `before`, as far as it has come.
  static KqueueChanges undoing(int fd, const Knotes& knotes, const KqueueWatch& before) noexcept {
    KqueueChanges changes;
    for (std::size_t filter = 0; filter < KqueueWatch::kFilters; ++filter) {
      if (knotes.told.by[filter] == before.by[filter]) continue;
      changes.replace(fd, knotes, filter, before.by[filter]);
    }
    return changes;
  }

  std::size_t size() const noexcept { return size_; }
  const struct kevent* begin() const noexcept { return changes_.data(); }
  const struct kevent* end() const noexcept { return changes_.data() + size_; }
  bool adds(std::size_t i) const noexcept { return (changes_[i].flags & EV_ADD) != 0; }
  std::size_t filter(std::size_t i) const noexcept { return filters_[i]; }
  Watching makes(std::size_t i) const noexcept { return makes_[i]; }

 private:
  KqueueChanges() = default;

  void push(const struct kevent& change, std::size_t filter, Watching makes) noexcept {
    changes_[size_] = change;
    changes_[size_].flags |= EV_RECEIPT;
    filters_[size_] = filter;
    makes_[size_++] = makes;
  }

  void replace(int fd, const Knotes& knotes, std::size_t filter, Watching next) noexcept {
    if (knotes.told.by[filter] != Watching::none) {
      push(knotes.change(fd, filter, EV_DELETE), filter, Watching::none);
    }
    if (next != Watching::none) push(knotes.addition(fd, filter, next), filter, next);
  }

  void check_first(int fd, const Knotes& knotes, const KqueueWatch& to) noexcept {
    const auto& told = knotes.told.by;
    for (std::size_t filter = 0; filter < KqueueWatch::kFilters; ++filter) {
      const bool changes_it = told[filter] != to.by[filter] || reports_changes(told[filter]);
      if (told[filter] != Watching::none && changes_it) return;
    }
    for (std::size_t filter = 0; filter < KqueueWatch::kFilters; ++filter) {
      if (told[filter] == Watching::none) continue;
      const unsigned flag = told[filter] == Watching::off ? EV_DISABLE : EV_ENABLE;
      return push(knotes.change(fd, filter, flag), filter, told[filter]);
    }
  }

  std::array<struct kevent, kMost> changes_;
  std::array<std::size_t, kMost> filters_;
  std::array<Watching, kMost> makes_;
  std::size_t size_ = 0;
};

// What became of them.
struct KqueueOutcome {
  int error = 0;            // of a change that adds
  bool no_reader = false;   // of a pipe: its writer cannot be watched for room
  bool other_file = false;  // what was to be changed is not there
  KqueueWatch now;

  // The errno of one of them, or 0.
  void note(const KqueueChanges& changes, std::size_t i, int result) noexcept {
    const std::size_t filter = changes.filter(i);
    if (result == 0) {
      now.by[filter] = changes.makes(i);
    } else if (result == EPIPE && filter == KqueueWatch::kWrite) {
      no_reader = true;
    } else if (changes.adds(i) || result != ENOENT) {
      if (error == 0) error = result;
    } else {
      other_file = true;
      now.by[filter] = Watching::none;
    }
  }
};

}  // namespace event_cpp::detail
