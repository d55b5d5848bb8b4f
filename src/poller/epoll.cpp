// epoll(7), with a timerfd for waits that end at a deadline.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

#include "base/unique_fd.hpp"
#include "poller/always_ready.hpp"
#include "poller/pollers.hpp"
#include "sys/deadline.hpp"

namespace event_cpp::detail {
namespace {

// What the kernel keeps for a descriptor, in the order of a ReadyEvent.
epoll_data_t user_data(int fd, std::uint32_t generation) noexcept {
  const std::array<std::uint32_t, 2> words{static_cast<std::uint32_t>(fd), generation};
  epoll_data_t data;
  std::memcpy(&data, words.data(), sizeof data);
  return data;
}

// Where the kernel's entry looks like a ReadyEvent, it writes them where they will be read.
constexpr bool kInPlace =
    sizeof(epoll_event) == sizeof(ReadyEvent) &&
    offsetof(epoll_event, events) == offsetof(ReadyEvent, bits) &&
    offsetof(epoll_event, data) == offsetof(ReadyEvent, fd) &&
    offsetof(ReadyEvent, generation) == offsetof(ReadyEvent, fd) + sizeof(int);
static_assert(ReadyEvent::kIn == EPOLLIN && ReadyEvent::kPri == EPOLLPRI &&
              ReadyEvent::kOut == EPOLLOUT && ReadyEvent::kErr == EPOLLERR &&
              ReadyEvent::kHup == EPOLLHUP && ReadyEvent::kRdHup == EPOLLRDHUP);

constexpr std::uint32_t to_epoll(Events wanted) noexcept {
  std::uint32_t bits = 0;
  if (any(wanted & Events::read)) bits |= EPOLLIN;
  if (any(wanted & Events::write)) bits |= EPOLLOUT;
  if (any(wanted & Events::closed)) bits |= EPOLLRDHUP;
  if (any(wanted & Events::urgent)) bits |= EPOLLPRI;
  if (any(wanted & Events::error)) bits |= EPOLLERR;
  if (any(wanted & Events::edge)) bits |= EPOLLET;
  if (any(wanted & Events::exclusive)) bits |= EPOLLEXCLUSIVE;
  return bits;
}

class Epoll final : public Poller {
 public:
  // All is opened here: what was opened later could get the number of a descriptor that a user
  // closed while it was watched, and then be taken for that one.
  Epoll() {
    if (const int error = open(); error != 0) {
      throw std::system_error(error, std::system_category(), "epoll_create1");
    }
  }

  Backend kind() const noexcept override { return Backend::epoll; }
  std::size_t kernel_entry() const noexcept override { return kInPlace ? 0 : sizeof(epoll_event); }
  Events supported() const noexcept override {
    return kConditions | Events::edge | Events::exclusive;
  }

  int update(Change change, int fd, std::uint32_t generation, Events wanted) noexcept override {
    if (!set_) return 0;
    const int error = tell(change, fd, generation, wanted);
    if (error != EPERM && always_.empty()) return error;
    return always_.update(error, change, fd, generation, wanted);
  }

  int wait(TimePoint deadline, bool block, ReadyBatch& batch) override {
    batch.start();
    batch_ = &batch;
    const bool plain = deadline >= armed_ && always_.empty();
    return plain ? wait_for(block ? -1 : 0, batch) : wait_otherwise(deadline, block, batch);
  }

  // The timerfd's: the deadline that it was set to has passed.
  void take_own() noexcept override {
    armed_ = TimePoint::max();
    batch_->expired = true;
  }

  int begin_rebuild() noexcept override {
    UniqueFd fresh = own_internal(::epoll_create1(EPOLL_CLOEXEC));
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

  void detach_after_fork() noexcept override { set_ = UniqueFd(); }

  int reinit() noexcept override {
    always_.clear();
    if (const int error = open(); error != 0) return error;
    if (!shell_) return 0;
    // The number stays: whoever waits for it adds it to a set of the child's own, too.
    const UniqueFd fresh = own_internal(::epoll_create1(EPOLL_CLOEXEC));
    if (!fresh || ::dup3(fresh.get(), shell_.get(), O_CLOEXEC) < 0) return errno;
    return show_in_shell(set_.get());
  }

  // The set may be replaced by another one, which nobody outside could know of: what is shown is a
  // set with the set in it.
  int fd() noexcept override {
    if (!shell_) {
      shell_ = own_internal(::epoll_create1(EPOLL_CLOEXEC));
      if (shell_ && show_in_shell(set_.get()) != 0) shell_ = UniqueFd();
    }
    return shell_.get();
  }

  // EINVAL: the number of the set is another file's now. Then the others may be so as well.
  int give_up(int error) noexcept override {
    if (error != EBADF && error != EINVAL) return error;
    for (UniqueFd* const lost : {&set_, &timer_, &shell_}) static_cast<void>(lost->release());
    return EBADF;
  }

  bool prefers_lazy_removal() const noexcept override { return always_.empty(); }

  bool has_always_ready() const noexcept override { return always_.is_any_ready(); }

 private:
  int open() noexcept {
    set_ = own_internal(::epoll_create1(EPOLL_CLOEXEC));
    if (!set_) return errno;
    timer_ = own_internal(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    // Without it, waits are in whole milliseconds.
    if (timer_ && watch_timer(set_.get()) != 0) timer_ = UniqueFd();
    armed_ = TimePoint::max();
    return 0;
  }

  // The timerfd may have to be set, or something is always ready.
  [[gnu::noinline]] int wait_otherwise(TimePoint deadline, bool block, ReadyBatch& batch) {
    block = block && !always_.is_any_ready();
    batch.expired = deadline < armed_;
    if (batch.expired && block) {
      block = time_left(deadline) > Duration::zero();
      batch.expired = !block || !arm(deadline);
    }
    const bool timed = block && batch.expired;
    const int error = wait_for(timed   ? to_poll_milliseconds(time_left(deadline))
                               : block ? -1
                                       : 0,
                               batch);
    if (error == 0) always_.report(batch);
    return error;
  }

  // Waits so many milliseconds, or for ever with -1.
  int wait_for(int timeout, ReadyBatch& batch) {
    const int count =
        ::epoll_wait(set_.get(), entries_of(batch), static_cast<int>(batch.capacity()), timeout);
    if (count < 0) return errno == EINTR ? 0 : errno;
    if constexpr (!kInPlace) copy_out(static_cast<std::size_t>(count), batch);
    batch.finish(static_cast<std::size_t>(count));
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
    event.data = user_data(fd, generation);
    return ::epoll_ctl(set, operation, fd, &event) == 0 ? 0 : errno;
  }

  static epoll_event* entries_of(ReadyBatch& batch) noexcept {
    return kInPlace ? reinterpret_cast<epoll_event*>(batch.ready())
                    : reinterpret_cast<epoll_event*>(batch.kernel_entries());
  }

  // The kernel's entries as reports.
  static void copy_out(std::size_t count, ReadyBatch& batch) noexcept {
    for (std::size_t i = 0; i < count; ++i) {
      const epoll_event& event = entries_of(batch)[i];
      ReadyEvent& ready = batch.ready()[i];
      ready.bits = event.events;
      std::memcpy(&ready.fd, &event.data, sizeof event.data);
    }
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
    event.data = user_data(0, ReadyEvent::kOwn);
    return ::epoll_ctl(set, EPOLL_CTL_ADD, timer_.get(), &event) == 0 ? 0 : errno;
  }

  UniqueFd set_;
  UniqueFd old_;    // during a rebuild
  UniqueFd shell_;  // once somebody has asked for fd()
  UniqueFd timer_;  // none if the system has none to give
  TimePoint armed_ = TimePoint::max();
  AlwaysReady always_;
  ReadyBatch* batch_ = nullptr;  // of the last wait
};

}  // namespace

std::unique_ptr<Poller> make_epoll() { return std::make_unique<Epoll>(); }

}  // namespace event_cpp::detail
