// dump() and for_each_wait(): show what the tasks of a base wait for.
#pragma once

#include <iosfwd>

#include "event/co/group.hpp"

namespace event_cpp::co {

// Calls f(const TaskGroup&) for each group of the base, in the order in which they were made.
template <class F>
void for_each_group(Base& base, F&& f) {
  detail::Link& groups = detail::Scheduler::of(base).groups();
  for (detail::Link* link = groups.next(); link != &groups; link = link->next()) {
    f(static_cast<const TaskGroup&>(static_cast<TaskGroup::InList*>(link)->group));
  }
}

namespace detail {

using Visit = void (*)(void* context, int depth, const Waiting& waiting);
EVENT_API void for_each_wait(const Chain& chain, int depth, Visit visit, void* context);

}  // namespace detail

// Calls f(int depth, const Waiting&) for the wait of each task of the group, in the order in which
// the tasks were spawned. After a wait for other tasks, such as with_timeout(), come the waits of
// those tasks, with a larger depth. Waiting::what is "its turn" for a task that is ready to run,
// and "nothing, it runs" for the task that has called this.
template <class F>
void for_each_wait(const TaskGroup& group, F&& f) {
  const detail::Visit visit = [](void* context, int depth, const Waiting& waiting) {
    (*static_cast<std::remove_reference_t<F>*>(context))(depth, waiting);
  };
  for (const detail::Child* child = group.first_; child != nullptr; child = child->next) {
    detail::for_each_wait(child->chain, 0, visit, &f);
  }
}

// Writes a line for each group of the base, and one for each wait of its tasks: the operation, its
// fd (or signal or process ID), the source line, and the address of the coroutine's code.
// Must not be called while a task of the base is on another base: see resume_on().
// Errors: throws what the stream throws, std::bad_alloc.
EVENT_API void dump(Base& base, std::ostream& out);

}  // namespace event_cpp::co
