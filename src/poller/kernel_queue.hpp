// A kqueue(2) that closes itself.
#pragma once

#include <fcntl.h>
#include <sys/event.h>

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <type_traits>
#include <utility>

#include "base/no_cancellation.hpp"
#include "base/unique_fd.hpp"
#include "sys/fork_count.hpp"

namespace event_cpp::detail {

// The user data of a change is a pointer on most systems, and a number on NetBSD before 10.
using KqueueUserData = decltype(std::declval<struct kevent>().udata);

template <class Data = KqueueUserData>
Data to_user_data(std::uint32_t number) noexcept {
  if constexpr (std::is_pointer_v<Data>) {
    return reinterpret_cast<Data>(static_cast<std::uintptr_t>(number));
  } else {
    return static_cast<Data>(number);
  }
}

template <class Data>
std::uint32_t from_user_data(Data data) noexcept {
  if constexpr (std::is_pointer_v<Data>) {
    return static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(data));
  } else {
    return static_cast<std::uint32_t>(data);
  }
}

// The types of its members are different on each system.
template <class Filter>
struct kevent make_change(int ident, Filter filter, unsigned flags, unsigned fflags = 0,
                          std::int64_t data = 0, KqueueUserData user_data = {}) noexcept {
  struct kevent change {};
  change.ident = static_cast<decltype(change.ident)>(ident);
  change.filter = static_cast<decltype(change.filter)>(filter);
  change.flags = static_cast<decltype(change.flags)>(flags);
  change.fflags = static_cast<decltype(change.fflags)>(fflags);
  change.data = static_cast<decltype(change.data)>(data);
  change.udata = user_data;
  return change;
}

// The type of the counts of kevent(2), int on most systems.
template <class Count>
Count count_of(int (*)(int, const struct kevent*, Count, struct kevent*, Count, const timespec*));
using KqueueCount = decltype(count_of(&::kevent));

// kevent(2) that does not wait. Returns -1, and then errno says why.
inline int tell_kqueue(int queue, const struct kevent* changes, std::size_t change_count,
                       struct kevent* results, std::size_t room) noexcept {
  const NoCancellation whole;
  const timespec now{};
  int count = 0;
  do {
    count = ::kevent(queue, changes, static_cast<KqueueCount>(change_count), results,
                     static_cast<KqueueCount>(room), &now);
  } while (count < 0 && errno == EINTR);
  return count;
}

// Gives a new one, close-on-exec, in `fd`. The child of a fork gets none of its parent's, so that
// nobody can start a program with it in between. Returns 0 or an errno.
inline int open_kqueue(UniqueFd& fd) noexcept {
  UniqueFd fresh = own_internal(::kqueue());
  if (!fresh || ::fcntl(fresh.get(), F_SETFD, FD_CLOEXEC) < 0) return errno;
  fd = std::move(fresh);
  return 0;
}

// In the child of a fork: what the parent's had here is closed, and its number perhaps taken.
// `forks` is as it was counted when it was opened.
inline bool is_left_behind(std::uint32_t forks) noexcept { return forks != fork_count(); }

// The same in the place of one that may have been left behind by a fork: with its number, if that
// is still free, as somebody may wait for it.
inline int reopen_kqueue(UniqueFd& fd, std::uint32_t& forks) noexcept {
  UniqueFd fresh;
  if (const int error = open_kqueue(fresh); error != 0) return error;
  if (fd && is_left_behind(forks)) {
    const int before = fd.release();
    const int moved = fresh.get() != before ? ::fcntl(fresh.get(), F_DUPFD_CLOEXEC, before) : -1;
    if (moved >= 0) fresh = UniqueFd(moved);
  }
  fd = std::move(fresh);
  forks = fork_count();
  return 0;
}

// Closes it, unless it is not this process's.
inline void close_kqueue(UniqueFd& fd, std::uint32_t forks) noexcept {
  if (is_left_behind(forks)) static_cast<void>(fd.release());
  fd = UniqueFd();
}

}  // namespace event_cpp::detail
