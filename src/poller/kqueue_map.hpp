// What is asked for in the words of kqueue(2), and what it says in ours: pure, so that it is tested
// with the constants of systems that the tests do not run on.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "poller/poller.hpp"

namespace event_cpp::detail {

// The constants of a system. Filters are numbers to be compared, not bits, and NetBSD's begin
// with 0.
struct KqueueConstants {
  std::int64_t read;
  std::int64_t write;
  bool has_except;  // tells of urgent data
  std::int64_t except;
  std::uint32_t eof;  // in flags
  std::uint32_t oob;  // in fflags of `except`
};

// How a filter watches a descriptor.
enum class Watching : std::uint8_t {
  none,      // the kernel knows nothing of it
  off,       // it does, and is to be quiet
  level,     //
  edge,      // reports changes
  end,       // reports the end alone, as long as it lasts, and not what can be read before it
  end_edge,  // reports that it has come
  error,     // reports an error alone, as long as it lasts: an end that is one
};

// What EV_EOF says of a kind of file.
enum class EndMeans : std::uint8_t {
  direction,  // of a socket: this direction has ended, or both by an error, which is told
  hang_up,    //
  error,      // of the writing end of a pipe: nobody reads
  either,     // of a pipe for both directions: one or the other, by the filter
};

// By filter.
struct KqueueWatch {
  static constexpr std::size_t kRead = 0;
  static constexpr std::size_t kWrite = 1;
  static constexpr std::size_t kExcept = 2;
  static constexpr std::size_t kFilters = 3;

  std::array<Watching, kFilters> by{};

  bool operator==(const KqueueWatch&) const = default;
};

constexpr bool is_active(Watching how) noexcept { return how >= Watching::level; }

constexpr bool reports_changes(Watching how) noexcept {
  return how == Watching::edge || how == Watching::end_edge;
}

constexpr bool reports_end_alone(Watching how) noexcept { return how >= Watching::end; }

// What filters must do to report `wanted`. Which end of a descriptor has hung up shows on the read
// filter, so that one is there for who waits for `closed`. An error shows on each.
constexpr KqueueWatch to_kqueue(Events wanted) noexcept {
  const bool edge = any(wanted & Events::edge);
  const Watching how = edge ? Watching::edge : Watching::level;
  KqueueWatch watch;
  if (any(wanted & Events::closed)) {
    watch.by[KqueueWatch::kRead] = edge ? Watching::end_edge : Watching::end;
  }
  if (any(wanted & Events::read)) watch.by[KqueueWatch::kRead] = how;
  if (any(wanted & Events::write)) watch.by[KqueueWatch::kWrite] = how;
  if (any(wanted & Events::urgent)) watch.by[KqueueWatch::kExcept] = how;
  const bool shows_errors = is_active(watch.by[KqueueWatch::kRead]) || any(wanted & Events::write);
  if (any(wanted & Events::error) && !shows_errors) {
    watch.by[KqueueWatch::kRead] = edge ? Watching::end_edge : Watching::error;
  }
  return watch;
}

// The same for a descriptor that is watched as `told` says: never without a knote, and a filter
// that is there is kept.
constexpr KqueueWatch to_kqueue(Events wanted, const KqueueWatch& told) noexcept {
  KqueueWatch watch = to_kqueue(wanted);
  for (std::size_t filter = 0; filter < KqueueWatch::kFilters; ++filter) {
    const bool is_there = told.by[filter] != Watching::none;
    if (is_there && watch.by[filter] == Watching::none) watch.by[filter] = Watching::off;
  }
  if (watch == KqueueWatch{}) watch.by[KqueueWatch::kRead] = Watching::off;
  return watch;
}

constexpr bool only_switches_off(const KqueueWatch& from, const KqueueWatch& to) noexcept {
  bool switches = false;
  for (std::size_t filter = 0; filter < KqueueWatch::kFilters; ++filter) {
    if (from.by[filter] == to.by[filter] && !reports_changes(to.by[filter])) continue;
    if (to.by[filter] != Watching::off) return false;
    switches = true;
  }
  return switches;
}

// What a report says. `end` is what EV_EOF means on this file.
constexpr Events from_kqueue(const KqueueConstants& system, std::int64_t filter,
                             std::uint32_t flags, std::uint32_t fflags, EndMeans end) noexcept {
  constexpr Events kHangUp = ReadyEvent::kHangupMeans | ReadyEvent::kHangup;
  const bool ended = (flags & system.eof) != 0;
  if (system.has_except && filter == system.except) {
    const Events urgent = (fflags & system.oob) != 0 ? Events::urgent : Events::none;
    return ended ? urgent | kHangUp : urgent;
  }
  if (filter != system.read && filter != system.write) return Events::none;
  const Events ready = filter == system.write ? Events::write : Events::read;
  if (!ended) return ready;
  if (end == EndMeans::direction) {
    if (fflags != 0) return kHangUp | Events::error;  // the error of the socket
    return filter == system.write ? ready : ready | Events::closed;
  }
  const bool is_error =
      end == EndMeans::error || (end == EndMeans::either && filter == system.write);
  return is_error ? Events::write | Events::error : kHangUp;  // full or not: a write fails at once
}

}  // namespace event_cpp::detail
