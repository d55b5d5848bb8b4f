#include "event/co/group.hpp"

#include <system_error>

namespace event_cpp::co {

using detail::Chain;
using detail::Child;

namespace {

// Whether a task of the chain runs at this moment, or one that it awaits in with_timeout().
[[maybe_unused]] bool runs(const Chain& chain) noexcept {
  if (chain.away) return false;
  if (chain.pending == nullptr) return chain.running();
  bool found = false;
  chain.pending->for_each_branch(
      [](void* result, const Chain& branch) { *static_cast<bool*>(result) |= runs(branch); },
      &found);
  return found;
}

}  // namespace

// Knows whether the group was destroyed since: by on_failure, or by a task's frame that owned it.
class TaskGroup::Watch {
 public:
  // Not inline: else g++ 12 warns that the address of a local variable is left behind.
  [[gnu::noinline]] explicit Watch(TaskGroup& group) noexcept
      : group_(group), outer_(std::exchange(group.destroyed_, &destroyed_)) {}
  ~Watch() {
    if (!destroyed_) {
      group_.destroyed_ = outer_;
    } else if (outer_ != nullptr) {
      *outer_ = true;
    }
  }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  bool group_is_gone() const noexcept { return destroyed_; }

 private:
  TaskGroup& group_;
  bool destroyed_ = false;
  bool* outer_;
};

TaskGroup::TaskGroup(Base& base, std::function<void(std::exception_ptr)> on_failure,
                     const char* name)
    : scheduler_(&detail::Scheduler::of(base)),
      in_list_(*this),
      name_(name != nullptr ? name : ""),
      closing_(event_cpp::detail::floors_of(base).dropping()) {
  if (on_failure != nullptr) {
    on_failure_ = std::make_shared<decltype(on_failure)>(std::move(on_failure));
  }
  scheduler_->groups().push_back(in_list_);
}

TaskGroup::~TaskGroup() {
  closing_ = true;
  if (destroyed_ != nullptr) *destroyed_ = true;
  drop_all();
  if (join_ != nullptr) join_->group_is_gone();
  if (room_ != nullptr) room_->end(true);
}

void TaskGroup::abandon() noexcept {
  closing_ = true;
  in_list_.unlink();
  const Watch watch(*this);
  drop_all();
  if (!watch.group_is_gone()) scheduler_ = nullptr;
}

// What a destructor of a task spawns meanwhile is refused.
void TaskGroup::drop_all() noexcept {
  const Watch watch(*this);
  while (!watch.group_is_gone() && first_ != nullptr) {
    Child& child = *first_;
    if (child.chain.away) detail::terminate_away();
    const bool has_failed = child.chain.linked() && child.chain.turn == detail::Turn::report;
    if (has_failed && (on_failure_ != nullptr || leaves_dispatch(child))) {
      reap(child);
      scheduler_->adopt(child.chain);
      child.coroutine.reset();  // what it was given may refer to what goes with the group
      continue;
    }
    assert(!runs(child.chain) && "a group must not be destroyed by one of its tasks");
    reap(child);
    delete &child;
  }
}

void TaskGroup::spawn(Task<> task) {
  if (closing_) return;
  std::unique_ptr<Child> child(new Child(*this, *scheduler_, std::move(task).release()));
  child->chain.cancelled = cancelled_;
  if (!child->coroutine) detail::throw_no_task();
  Child& started = *child.release();
  started.previous = last_;
  (last_ != nullptr ? last_->next : first_) = &started;
  last_ = &started;
  ++size_;
  if (started.coroutine.start(started.chain, detail::Scheduler::end_of(started.chain))) return;
  if (failed(started)) return;
  reap(started);
  wake_room();
  if (ends_join()) join_->wake();
  delete &started;  // last: a parameter of the task may own the group
}

void* TaskGroup::ended(Chain& chain) noexcept {
  Child& child = Child::of(chain);
  if (failed(child)) return nullptr;
  reap(child);
  wake_room();
  void* const next = ends_join() ? join_->finish() : nullptr;
  delete &child;  // last, as in spawn()
  return next;
}

// Whether a task waits in join(), and was not woken before, and all tasks have ended.
bool TaskGroup::ends_join() const noexcept {
  return size_ == 0 && join_ != nullptr && join_->waits();
}

// If the task failed: keeps it until its turn comes to be reported, and returns true.
bool TaskGroup::failed(Child& child) noexcept {
  const std::exception_ptr& error = child.chain.error;
  if (error == nullptr || (child.chain.cancelled && detail::is_cancellation(error))) return false;
  scheduler_->queue(child.chain, detail::Turn::report);
  if (on_failure_ == nullptr && error_ == nullptr) {
    error_ = error;
    cancel();
  }
  return true;
}

// The first failure does, once, unless join() throws it.
bool TaskGroup::leaves_dispatch(const Child& child) noexcept {
  if (join_ != nullptr || reported_ || child.chain.error != error_) return false;
  reported_ = true;
  return true;
}

std::exception_ptr TaskGroup::report(Chain& chain) noexcept {
  Child& child = Child::of(chain);
  const bool is_leaving = on_failure_ != nullptr || leaves_dispatch(child);
  const std::exception_ptr error = std::move(chain.error);
  const Watch watch(*this);
  reap(child);
  delete &child;
  if (watch.group_is_gone()) return is_leaving ? error : nullptr;
  std::exception_ptr leaves;
  if (on_failure_ != nullptr) {
    const auto on_failure = on_failure_;  // lives as long as it runs
    try {
      (*on_failure)(error);
    } catch (...) {
      leaves = std::current_exception();
    }
  } else if (is_leaving) {
    leaves = error;
  }
  if (watch.group_is_gone()) return leaves;
  wake_room();  // not before: on_failure may have spawned a task instead of the one that failed
  if (ends_join()) join_->wake();
  return leaves;
}

void TaskGroup::cancel() noexcept {
  if (size_ == 0) return;
  cancelled_ = true;
  for (Child* child = first_; child != nullptr; child = child->next) child->chain.cancel();
}

void TaskGroup::reap(Child& child) noexcept {
  (child.previous != nullptr ? child.previous->next : first_) = child.next;
  (child.next != nullptr ? child.next->previous : last_) = child.previous;
  --size_;
}

void TaskGroup::wake_room() noexcept {
  if (room_ != nullptr && !closing_ && size_ < room_->count_)
    std::exchange(room_, nullptr)->end(false);
}

bool TaskGroup::Join::wait(Chain& chain, void* frame) {
  if (group_->size_ == 0) {
    if (chain.spend()) return false;
    was_cancelled_ = chain.cancelled;
    take_result();
    begin_done(chain, frame);
    return true;
  }
  if (group_->join_ != nullptr) {
    throw std::system_error(std::make_error_code(std::errc::device_or_resource_busy),
                            "event::co::TaskGroup::join: another task waits in join() already");
  }
  group_->join_ = this;
  registered_ = true;
  begin(chain, frame);
  if (chain.cancelled) cancel();
  return true;
}

bool TaskGroup::Room::wait(Chain& chain, void* frame) {
  if (count_ == 0) {
    throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                            "event::co::TaskGroup::room: the number of tasks must be 1 or more");
  }
  if (group_->room_ != nullptr) {
    throw std::system_error(std::make_error_code(std::errc::device_or_resource_busy),
                            "event::co::TaskGroup::room: another task waits in room() already");
  }
  const bool has_room = group_->size_ < count_;
  if (has_room && chain.spend()) return false;
  if (chain.cancelled) {
    begin_cancelled(chain, frame);
    return true;
  }
  if (has_room) {
    begin_done(chain, frame);
    return true;
  }
  group_->room_ = this;
  registered_ = true;
  begin(chain, frame);
  return true;
}

void TaskGroup::Join::cancel() noexcept {
  was_cancelled_ = true;
  group_->cancel();
}

void TaskGroup::Join::group_is_gone() noexcept {
  take_result();
  if (!waits()) return;  // all tasks had ended
  was_cancelled_ = true;
  wake();
}

void TaskGroup::Join::take_result() noexcept {
  if (std::exchange(registered_, false)) group_->join_ = nullptr;
  group_->cancelled_ = false;
  group_->reported_ = false;
  error_ = std::exchange(group_->error_, nullptr);
  group_ = nullptr;
}

void TaskGroup::Join::await_resume() {
  if (group_ != nullptr) take_result();
  if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
  if (was_cancelled_) detail::throw_cancelled();
}

}  // namespace event_cpp::co
