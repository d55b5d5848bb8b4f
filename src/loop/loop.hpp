// The loop: from the kernel's answer to the callback.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <system_error>

#include "event/detail/callable.hpp"
#include "event/detail/node.hpp"
#include "event/options.hpp"
#include "event/stats.hpp"
#include "loop/clock.hpp"
#include "loop/dispatcher.hpp"
#include "loop/hook_lists.hpp"
#include "loop/kernel_side.hpp"
#include "loop/loop_thread.hpp"
#include "loop/other_clocks.hpp"
#include "loop/post_queue.hpp"
#include "loop/watches.hpp"

namespace event_cpp {
class Base;
}  // namespace event_cpp

namespace event_cpp::detail {

// What a base does. Its public face, Base and Event, says what each call promises.
//
// One iteration, run_once(): poll() updates what the kernel watches and waits; what is then ready,
// due or posted is collected in the active queues. No user code runs there, so that no event can go
// away. Then the dispatcher runs the callbacks.
class Loop {
 public:
  Loop(Base& base, const Options& options);
  ~Loop() = default;  // requires: close()
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  std::size_t run(RunMode mode);
  bool running() const noexcept { return watches_.thread().running(); }
  bool alive() const noexcept;  // something keeps it running
  void stop(std::uint32_t how) noexcept { kernel().waker().stop(how); }
  void withdraw_stop() noexcept { attention().clear(Attention::kStop); }
  void post(Task&& task, Priority priority);

  // Before the destructor: lets go of every event, and from then on nothing can be attached,
  // activated or run. Posting still works, for drop(): destroys what users gave, and returns
  // whether there was anything. Their destructors may call whatever the base has.
  void close() noexcept;
  bool drop() noexcept;
  bool closing() const noexcept { return watches_.thread().closing(); }

  // For running inside another loop.
  int fd() noexcept;
  std::optional<Duration> next_timeout() noexcept;

  // In the child of a fork: after_fork.cpp. The second is for whoever forgot the first.
  std::error_code after_fork() noexcept;
  std::error_code restart_after_fork() noexcept;

  // What can be seen of it.
  TimePoint now() const noexcept {
    return running() ? watches_.clock().iteration() : watches_.clock().now();
  }
  Backend backend() const noexcept { return kernel().traits().kind; }
  Stats stats() const noexcept;
  std::error_code on_slow(Duration budget, std::shared_ptr<SlowReport> report);

  // Its parts.
  Base& base() const noexcept { return base_; }
  Watches& watches() noexcept { return watches_; }
  Hooks& hooks() noexcept {
    watches_.thread().assert_here();
    return hooks_;
  }

  // For the callback that is running, of an event of this priority: nothing of a user's ran.
  void uncount_callback(Priority priority = Priority::high) noexcept {
    dispatcher_.uncount(priority);
  }

  // Between two slices: polls the kernel without waiting, if something above this priority could
  // have become active. Returns whether it did.
  bool poll_above(std::size_t level);

 private:
  static const NodeOps kWakeupOps;
  static void on_wakeup(Node& node, Events fired);

  class Running;
  void run_once();
  void poll(bool block);
  [[gnu::cold, gnu::noinline]] void restart_or_throw();
  bool run_only();
  void collect_posted();
  void run_idle_hooks();
  [[gnu::cold, gnu::noinline]] void give_back_memory() noexcept;
  void arm_embedded() noexcept;
  int reopen_kernel_side() noexcept;
  void forget_other_threads() noexcept;

  Attention& attention() noexcept { return kernel().attention(); }
  const Attention& attention() const noexcept { return kernel().attention(); }

  KernelSide& kernel() noexcept { return watches_.kernel(); }
  const KernelSide& kernel() const noexcept { return watches_.kernel(); }
  LoopClock& clock() noexcept { return watches_.clock(); }

  Watches watches_;  // first: from a node it is a load away
  Base& base_;
  Node wakeup_node_;
  OtherClocks other_clocks_;
  Hooks hooks_;
  PostQueue posts_;  // its destructor waits for posters, which use what is above
  Dispatcher dispatcher_;
  bool embedded_ = false;  // somebody waits for fd() while nobody runs this
  bool waits_ = true;      // for something to be ready: RunMode
  std::uint64_t iterations_ = 0;
  std::uint64_t posts_taken_ = 0;
};

}  // namespace event_cpp::detail
