// What a loop has of the kernel: the poller, the wake-up, and what the last wait reported.
#pragma once

#include <cstdint>
#include <memory>

#include "event/options.hpp"
#include "loop/poller_and_files.hpp"
#include "loop/waker.hpp"
#include "poller/poller.hpp"

namespace event_cpp::detail {

class KernelSide {
 public:
  // Errors: throws std::system_error, std::bad_alloc.
  explicit KernelSide(Backend backend);

  // Waits until something is ready, `deadline` has passed or the loop is wanted, if `block`; then
  // batch() holds what is ready. Errors: throws std::system_error.
  void wait(TimePoint deadline, bool block) {
    ++waits_;
    int error = 0;
    if (block && waker_.attention().fall_asleep()) {
      error = files_.wait(deadline, true, batch_);
      waker_.attention().wake_up();
    } else {
      error = files_.wait(deadline, false, batch_);
    }
    if (error != 0) [[unlikely]]
      fail_to_wait(error);
  }

  // Throws std::system_error. EBADF: a descriptor of the loop's own was closed behind its back.
  [[noreturn, gnu::cold, gnu::noinline]] void fail(int error, const char* what);

  Poller& poller() const noexcept { return *poller_; }
  PollerAndFiles& files() noexcept { return files_; }
  const PollerAndFiles& files() const noexcept { return files_; }
  ReadyBatch& batch() noexcept { return batch_; }
  const ReadyBatch& batch() const noexcept { return batch_; }
  Waker& waker() noexcept { return waker_; }
  Attention& attention() noexcept { return waker_.attention(); }
  const Attention& attention() const noexcept { return waker_.attention(); }

  const PollerTraits& traits() const noexcept { return poller_->traits(); }
  // False with Backend::none: no descriptor, no signal and no process can be watched.
  bool can_watch() const noexcept { return any(traits().supported); }

  // System calls that waited, and waits that another thread or a handler ended.
  std::uint64_t waits() const noexcept { return waits_; }
  std::uint64_t wakeups() const noexcept { return wakeups_; }
  void count_wakeup() noexcept { ++wakeups_; }

 private:
  [[noreturn, gnu::cold, gnu::noinline]] void fail_to_wait(int error);

  const std::unique_ptr<Poller> poller_;
  PollerAndFiles files_;
  ReadyBatch batch_;
  Waker waker_;
  std::uint64_t waits_ = 0;
  std::uint64_t wakeups_ = 0;
};

}  // namespace event_cpp::detail
