// The loop in the child of a fork: its kernel side is the parent's, until it has one of its own.
#include <cassert>

#include "loop/loop.hpp"

namespace event_cpp::detail {

// A debug build says who forgot after_fork().
std::error_code Loop::restart_after_fork() noexcept {
  if (closing()) return std::make_error_code(std::errc::operation_canceled);
  assert(watches_.is_ours() &&
         "call Base::after_fork() in the child of a fork before using its base");
  return after_fork();
}

std::error_code Loop::after_fork() noexcept {
  if (closing()) return std::make_error_code(std::errc::operation_canceled);
  notice_fork();
  if (watches_.is_ours()) return {};
  watches_.detach_after_fork();
  watches_.thread().after_fork();
  forget_other_threads();
  if (const int error = reopen_kernel_side(); error != 0) return {error, std::system_category()};
  watches_.take_over();
  if (embedded_ && !running()) arm_embedded();
  return {};
}

// Those that were in stop() or post() do not exist here.
void Loop::forget_other_threads() noexcept {
  kernel().waker().forget_other_threads();
  posts_.after_fork([this](std::size_t level) { attention().set(Attention::posted(level)); });
}

// Every descriptor of the loop's own, anew. They are registered with all the others.
int Loop::reopen_kernel_side() noexcept {
  FdTable& table = watches_.table();
  if (wakeup_node_.linked) table.forget(wakeup_node_);
  watches_.forget_internals();
  int error = kernel().poller().reinit();
  if (error == 0) error = kernel().waker().reopen();
  if (error == 0) error = table.add_internal(wakeup_node_, kernel().waker().fd());
  if (error == 0) error = watches_.watch_again();
  if (error == 0) error = other_clocks_.reopen();
  return error != 0 ? error : table.register_all();
}

// From now on what is taken back from the kernel is not taken back from the parent's set.
void Watches::detach_after_fork() noexcept {
  kernel().poller().detach_after_fork();
  signals_.detach_after_fork();
}

void Watches::forget_internals() noexcept {
  signals_.after_fork();
  if (blocked_signals_.linked) table_.forget(blocked_signals_);
}

int Watches::watch_again() noexcept {
  int error = signals_.empty() ? 0 : watch_blocked_signals();
  if (error == 0) {
    error = processes_.watch_again([this](Node& node) { activate(node, Events::signal); });
  }
  return error != 0 || alarms_ == nullptr ? error : alarms_->watch_clock(table_, kernel_);
}

}  // namespace event_cpp::detail
