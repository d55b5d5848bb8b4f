// No kernel side: nothing can be watched, and a wait is for a deadline or a wake-up.
#include <cerrno>
#include <condition_variable>
#include <mutex>

#include "poller/make_pollers.hpp"

namespace event_cpp::detail {
namespace {

// For bases that have timers and posted functions alone. Holds no descriptor and needs no system
// call unless it blocks.
class NoKernel final : public Poller {
 public:
  NoKernel() : Poller({.kind = Backend::none, .supported = Events::none, .kernel_entry = 0}) {}

  int add(int, std::uint32_t, Events) noexcept override { return ENOTSUP; }
  int modify(int, std::uint32_t, Events, bool) noexcept override { return ENOTSUP; }
  int remove(int) noexcept override { return ENOTSUP; }

  int wait(TimePoint deadline, bool block, ReadyBatch& batch) override {
    batch.start();
    batch.expired = true;
    if (!block) return 0;
    std::unique_lock lock(mutex_);
    const auto woken = [this] { return woken_; };
    if (deadline == TimePoint::max()) {
      wake_up_.wait(lock, woken);
    } else {
      wake_up_.wait_until(lock, deadline, woken);
    }
    woken_ = false;
    return 0;
  }

  // A wake-up ends the wait; there is no need to report it as well.
  int watch(Source source, int) noexcept override { return source == Source::wakeup ? 0 : ENOTSUP; }

  void wake() const noexcept override {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    wake_up_.notify_one();
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable wake_up_;
  mutable bool woken_ = false;  // guarded by mutex_
};

}  // namespace

std::unique_ptr<Poller> make_none() { return std::make_unique<NoKernel>(); }

}  // namespace event_cpp::detail
