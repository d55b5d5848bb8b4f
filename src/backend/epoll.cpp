// epoll(7), with a timerfd for waits that end at a deadline.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "backend/always_ready.hpp"
#include "backend/backends.hpp"
#include "backend/deadline.hpp"
#include "backend/unique_fd.hpp"

namespace event::detail {
namespace {

constexpr std::uint64_t kTimer = ~std::uint64_t{0};  // user data of the timerfd: no fd is -1

constexpr std::uint64_t user_data(int fd, std::uint32_t generation) noexcept {
  return static_cast<std::uint64_t>(generation) << 32 | static_cast<std::uint32_t>(fd);
}

constexpr std::uint32_t to_epoll(Events wanted) noexcept {
  std::uint32_t bits = 0;
  if (any(wanted & Events::read)) bits |= EPOLLIN;
  if (any(wanted & Events::write)) bits |= EPOLLOUT;
  if (any(wanted & Events::closed)) bits |= EPOLLRDHUP;
  if (any(wanted & Events::urgent)) bits |= EPOLLPRI;
  if (any(wanted & Events::edge)) bits |= EPOLLET;
  if (any(wanted & Events::exclusive)) bits |= EPOLLEXCLUSIVE;
  return bits;
}

// What the low bits mean, by value, so that an event costs a load and not a row of branches.
constexpr std::uint32_t kLowBits = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLERR | EPOLLHUP;
constexpr auto kMeaning = [] {
  std::array<Events, kLowBits + 1> meaning{};
  for (std::uint32_t bits = 0; bits <= kLowBits; ++bits) {
    if ((bits & EPOLLIN) != 0) meaning[bits] |= Events::read;
    if ((bits & EPOLLOUT) != 0) meaning[bits] |= Events::write;
    if ((bits & EPOLLPRI) != 0) meaning[bits] |= Events::urgent;
    if ((bits & (EPOLLERR | EPOLLHUP)) != 0) {
      meaning[bits] |= Ready::kHangupMeans | Ready::kHangup;
    }
  }
  return meaning;
}();

constexpr Events from_epoll(std::uint32_t bits) noexcept {
  const Events low = kMeaning[bits & kLowBits];
  return (bits & EPOLLRDHUP) != 0 ? low | Events::closed : low;
}

class Epoll final : public BackendPort {
 public:
  // All is opened here: what was opened later could get the number of a descriptor that a user
  // closed while it was watched, and then be taken for that one.
  Epoll() {
    if (const int error = open(); error != 0) {
      throw std::system_error(error, std::system_category(), "epoll_create1");
    }
  }

  Backend kind() const noexcept override { return Backend::epoll; }
  std::size_t kernel_entry() const noexcept override { return sizeof(epoll_event); }
  Events supported() const noexcept override {
    return kConditions | Events::edge | Events::exclusive;
  }

  int update(Change change, int fd, std::uint32_t generation, Events wanted) noexcept override {
    if (!set_) return 0;
    const int error = tell(change, fd, generation, wanted);
    if (error != EPERM && always_.empty()) return error;
    return always_.update(error, change, fd, generation, wanted);
  }

  int wait(TimePoint deadline, bool block, Batch& batch) noexcept override {
    batch.start();
    if (!always_.empty()) block = block && !always_.is_any_ready();
    bool unarmed = deadline < armed_;
    if (unarmed && block) {
      block = time_left(deadline) > Duration::zero();
      unarmed = !block || !arm(deadline);
    }
    const int timeout = !block ? 0 : unarmed ? to_poll_milliseconds(time_left(deadline)) : -1;
    const int count =
        ::epoll_wait(set_.get(), reinterpret_cast<epoll_event*>(batch.kernel_entries()),
                     static_cast<int>(batch.capacity()), timeout);
    batch.expired = unarmed;
    if (count < 0) return errno == EINTR ? 0 : errno;
    translate(static_cast<std::size_t>(count), batch);
    if (!always_.empty()) always_.report(batch);
    return 0;
  }

  int begin_rebuild() noexcept override {
    UniqueFd fresh(::epoll_create1(EPOLL_CLOEXEC));
    if (!fresh) return errno;
    if (timer_) {
      if (const int error = watch_timer(fresh.get()); error != 0) return error;
    }
    if (shell_) {
      if (const int error = show_in_shell(fresh.get()); error != 0) return error;
    }
    old_ = std::move(set_);
    set_ = std::move(fresh);
    return 0;
  }
  void end_rebuild(bool keep) noexcept override {
    if (!keep) std::swap(set_, old_);
    // Closing it would not do: the child of a fork may have it open.
    if (shell_) ::epoll_ctl(shell_.get(), EPOLL_CTL_DEL, old_.get(), nullptr);
    old_ = UniqueFd();
  }

  void abandon() noexcept override { set_ = UniqueFd(); }

  int restart() noexcept override {
    always_.clear();
    if (const int error = open(); error != 0) return error;
    if (!shell_) return 0;
    // The number stays: whoever waits for it adds it to a set of the child's own, too.
    const UniqueFd fresh(::epoll_create1(EPOLL_CLOEXEC));
    if (!fresh || ::dup3(fresh.get(), shell_.get(), O_CLOEXEC) < 0) return errno;
    return show_in_shell(set_.get());
  }

  // The set may be replaced by another one, which nobody outside could know of: what is shown is a
  // set with the set in it.
  int fd() noexcept override {
    if (!shell_) {
      shell_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
      if (shell_ && show_in_shell(set_.get()) != 0) shell_ = UniqueFd();
    }
    return shell_.get();
  }

  bool is_busy() const noexcept override { return always_.is_any_ready(); }

 private:
  int open() noexcept {
    set_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
    if (!set_) return errno;
    timer_ = UniqueFd(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    // Without it, waits are in whole milliseconds.
    if (timer_ && watch_timer(set_.get()) != 0) timer_ = UniqueFd();
    armed_ = TimePoint::max();
    return 0;
  }

  int show_in_shell(int set) noexcept {
    epoll_event event{};
    event.events = EPOLLIN;
    return ::epoll_ctl(shell_.get(), EPOLL_CTL_ADD, set, &event) == 0 ? 0 : errno;
  }

  int tell(Change change, int fd, std::uint32_t generation, Events wanted) noexcept {
    const int operation = change == Change::add      ? EPOLL_CTL_ADD
                          : change == Change::modify ? EPOLL_CTL_MOD
                                                     : EPOLL_CTL_DEL;
    const int set = old_ && change != Change::add ? old_.get() : set_.get();
    epoll_event event{};
    event.events = to_epoll(wanted);
    event.data.u64 = user_data(fd, generation);
    return ::epoll_ctl(set, operation, fd, &event) == 0 ? 0 : errno;
  }

  void translate(std::size_t count, Batch& batch) noexcept {
    const std::byte* entry = batch.kernel_entries();
    Ready* ready = batch.ready();
    for (; count > 0; --count, entry += sizeof(epoll_event)) {
      epoll_event event;
      std::memcpy(&event, entry, sizeof event);
      const std::uint64_t data = event.data.u64;
      if (data == kTimer) {
        armed_ = TimePoint::max();
        batch.expired = true;
        continue;
      }
      *ready++ = {from_epoll(event.events), static_cast<int>(static_cast<std::uint32_t>(data)),
                  static_cast<std::uint32_t>(data >> 32)};
    }
    batch.finish(static_cast<std::size_t>(ready - batch.ready()));
  }

  // Makes the timerfd expire at `deadline`. It is watched for edges and never read, and it is left
  // alone when the deadline moves later: one early wake-up costs less than a call each time.
  // epoll_pwait2() would add the thread's timer slack, 50 us by default, to every wait.
  bool arm(TimePoint deadline) noexcept {
    if (!timer_) return false;
    itimerspec when{};
    // A value of zero would disarm it.
    when.it_value = to_timespec(std::max(deadline.time_since_epoch(), Duration(1)));
    if (::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr) != 0) return false;
    armed_ = deadline;
    return true;
  }

  int watch_timer(int set) noexcept {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    event.data.u64 = kTimer;
    return ::epoll_ctl(set, EPOLL_CTL_ADD, timer_.get(), &event) == 0 ? 0 : errno;
  }

  UniqueFd set_;
  UniqueFd old_;    // during a rebuild
  UniqueFd shell_;  // once somebody has asked for fd()
  UniqueFd timer_;  // none if the system has none to give
  TimePoint armed_ = TimePoint::max();
  AlwaysReady always_;
};

}  // namespace

std::unique_ptr<BackendPort> make_epoll() { return std::make_unique<Epoll>(); }

}  // namespace event::detail
