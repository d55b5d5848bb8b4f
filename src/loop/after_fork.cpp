// The loop in the child of a fork: its kernel side is the parent's, until it has one of its own.
#include <cassert>

#include "loop/loop.hpp"

namespace event_cpp::detail {

// From now on what is taken back from the kernel is not taken back from the parent's set.
void Loop::detach_after_fork() noexcept {
  poller_->detach_after_fork();
  signals_.detach_after_fork();
}

// Those that were in stop() or post() do not exist here.
void Loop::forget_other_threads() noexcept {
  waker_.forget_other_threads();
  posts_.after_fork([this](std::size_t level) { attention().set(Attention::posted(level)); });
}

// What after_fork() would have done. A debug build says who forgot it.
std::error_code Loop::restart_after_fork() noexcept {
  if (closing_) return std::make_error_code(std::errc::operation_canceled);
  assert(is_ours() && "call Base::after_fork() in the child of a fork before using its base");
  return after_fork();
}

std::error_code Loop::after_fork() noexcept {
  if (closing_) return std::make_error_code(std::errc::operation_canceled);
  notice_fork();
  if (is_ours()) return {};
  detach_after_fork();
  signals_.after_fork();
  // Whoever ran the loop in the parent, if not this thread, does not exist here.
  if (thread_ != std::this_thread::get_id()) running_ = false;
  forget_other_threads();
  int error = reopen_internals();
  if (error == 0) error = table_.register_all();
  if (error != 0) return {error, std::system_category()};
  forks_ = fork_count();
  if (embedded_ && !running_) arm_embedded();
  return {};
}

// Every descriptor of the loop's own, anew. They are registered with all the others.
int Loop::reopen_internals() noexcept {
  for (Node* const node : {&wakeup_node_, &blocked_signals_node_}) {
    if (node->linked) table_.forget(*node);
  }
  int error = poller_->reinit();
  if (error == 0) error = waker_.reopen();
  if (error == 0) error = register_internal(wakeup_node_, waker_.fd());
  if (error == 0 && !signals_.empty()) error = watch_blocked_signals();
  if (error == 0) {
    error = processes_.watch_again([this](Node& node) { activate(node, Events::signal); });
  }
  if (error == 0 && alarms_ != nullptr) error = watch_wall(*alarms_);
  if (error == 0 && boottime_ != nullptr) {
    error = watch_clock(*boottime_, TimerFd::Of::boottime);
  }
  return error;
}

// Without a descriptor the backend watches it itself.
int Loop::register_internal(Node& node, int fd) noexcept {
  node.descriptor = fd;
  if (fd < 0) return 0;
  const int error = table_.add(node);
  node.attached = error == 0;
  return error;
}

}  // namespace event_cpp::detail
