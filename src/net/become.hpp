// What a child does between its birth and its program.
#pragma once

#include <cerrno>

#include "net/spawn.hpp"

// For functions that run in a child which borrows its parent's memory: what sanitizers add to code
// keeps accounts there that the child would never close.
#if defined(__has_attribute)
#if __has_attribute(disable_sanitizer_instrumentation)
#define EVENT_IN_CHILD __attribute__((disable_sanitizer_instrumentation))
#endif
#endif
#ifndef EVENT_IN_CHILD
#define EVENT_IN_CHILD \
  __attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))
#endif

namespace event_cpp::net::detail {

// Notes that a candidate cannot be run, unless an earlier one says more: EACCES more than ENOENT,
// and that more than others. Returns whether the search goes on, as that of execvp(3) and of shells
// does if the program is not there or may not be run, or if there cannot be such a file.
EVENT_IN_CHILD inline bool search_failed(int error, const char* path, Failure& failure) noexcept {
  const bool goes_on = error == ENOENT || error == ENOTDIR || error == ENAMETOOLONG ||
                       error == EACCES || error == ENODEV || error == ESTALE || error == ETIMEDOUT;
  const bool says_less = failure.error == EACCES || (failure.error == ENOENT && error != EACCES);
  if (!goes_on || !says_less) failure = {Step::exec, error, path};
  return goes_on;
}

// Follows the plan. Returns only if that fails. Calls are the system calls to use, each of which
// returns -errno if it fails; they must be such that any thread may have held any lock when the
// child was made, and may block for nothing.
//
// The order matters:
//   - descriptors before limits, which may be too low for moving them
//   - limits before the user, who may not be allowed to raise them
//   - the user before the directory, which the child has to be allowed to enter
//   - handlers to their defaults before a signal can come
template <class Calls>
class Become {
 public:
  EVENT_IN_CHILD static Failure run(const Plan& plan) noexcept {
    Failure failure;
    if (set_group(plan, failure) && move_descriptors(plan, failure) && set_limits(plan, failure) &&
        set_user(plan, failure) && set_rest(plan, failure)) {
      execute(plan, failure);
    }
    return failure;
  }

 private:
  // Returns whether it worked.
  EVENT_IN_CHILD static bool check(int result, Step step, Failure& failure,
                                   const char* path = nullptr) noexcept {
    if (result >= 0) return true;
    failure.step = step;
    failure.error = -result;
    failure.path = path;
    return false;
  }

  EVENT_IN_CHILD static bool set_group(const Plan& plan, Failure& failure) noexcept {
    const bool has_terminal = plan.terminal >= 0;
    if (has_terminal || plan.group == Command::Group::session) {
      if (!check(Calls::set_session(), Step::group, failure)) return false;
    } else if (plan.group == Command::Group::own) {
      if (!check(Calls::set_process_group(0), Step::group, failure)) return false;
    } else if (plan.group == Command::Group::join) {
      if (!check(Calls::set_process_group(plan.process_group), Step::group, failure)) return false;
    }
    return !has_terminal || check(Calls::control(plan.terminal), Step::terminal, failure);
  }

  EVENT_IN_CHILD static bool move_descriptors(const Plan& plan, Failure& failure) noexcept {
    if (plan.close_others) Calls::close_others_by_exec();
    // No source is to be overwritten before its turn.
    for (std::size_t i = 0; i < plan.move_count; ++i) {
      Move& move = plan.moves[i];
      if (move.from == move.to || move.from >= plan.first_free) continue;
      const int above = Calls::duplicate_above(move.from, plan.first_free);
      if (!check(above, Step::descriptors, failure)) return false;
      move.from = above;
    }
    for (std::size_t i = 0; i < plan.move_count; ++i) {
      const Move& move = plan.moves[i];
      const int moved = move.from == move.to ? Calls::keep_over_exec(move.to)
                                             : Calls::duplicate(move.from, move.to);
      if (moved == -EBADF && move.may_be_closed) continue;
      if (!check(moved, Step::descriptors, failure)) return false;
    }
    return true;
  }

  EVENT_IN_CHILD static bool set_limits(const Plan& plan, Failure& failure) noexcept {
    for (std::size_t i = 0; i < plan.limit_count; ++i) {
      const Limit& limit = plan.limits[i];
      if (!check(Calls::set_limit(limit), Step::limits, failure)) return false;
    }
    return true;
  }

  EVENT_IN_CHILD static bool set_user(const Plan& plan, Failure& failure) noexcept {
    if (plan.has_groups &&
        !check(Calls::set_groups(plan.group_count, plan.groups), Step::user, failure)) {
      return false;
    }
    if (plan.has_gid && !check(Calls::set_gid(plan.gid), Step::user, failure)) return false;
    return !plan.has_uid || check(Calls::set_uid(plan.uid), Step::user, failure);
  }

  EVENT_IN_CHILD static bool set_rest(const Plan& plan, Failure& failure) noexcept {
    if (plan.directory != nullptr &&
        !check(Calls::change_directory(plan.directory), Step::directory, failure, plan.directory)) {
      return false;
    }
    if (plan.has_umask) Calls::set_umask(plan.umask);
    if (plan.parent_death_signal != 0 &&
        !check(Calls::set_death_signal(plan.parent_death_signal), Step::signals, failure)) {
      return false;
    }
    Calls::set_signals(plan.reset_ignored_signals);
    return true;
  }

  EVENT_IN_CHILD static void execute(const Plan& plan, Failure& failure) noexcept {
    for (const char* const* path = plan.candidates; *path != nullptr; ++path) {
      const int error = -Calls::execute(*path, plan.arguments, plan.environment);
      if (!search_failed(error, *path, failure)) return;
    }
  }
};

}  // namespace event_cpp::net::detail
