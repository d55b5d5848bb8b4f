// epoll(7), with a timerfd for waits that end at a deadline.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>

#include "backend/backends.hpp"
#include "backend/deadline.hpp"
#include "backend/file_identity.hpp"
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
    return Events::read | Events::write | Events::closed | Events::urgent | Events::edge |
           Events::exclusive;
  }

  int update(Change change, int fd, std::uint32_t generation, Events wanted) noexcept override {
    if (!set_) return 0;
    const int error = tell(change, fd, generation, wanted);
    if (error != EPERM && always_.empty()) return error;
    return update_always(error, change, fd, generation, wanted);
  }

  int wait(TimePoint deadline, bool block, Batch& batch) noexcept override {
    batch.start();
    if (!always_.empty()) block = block && !some_always_ready();
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
    if (!always_.empty()) add_always_ready(batch);
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

  bool is_busy() const noexcept override { return some_always_ready(); }

 private:
  // A file of a kind that cannot be waited for: poll(2) calls it always ready, and so do we.
  struct AlwaysReady {
    int fd;
    std::uint32_t generation;
    Events wanted;
    FileIdentity identity;
  };

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

  // `error` is what the kernel said: EPERM, if the file under this number now is of that kind.
  int update_always(int error, Change change, int fd, std::uint32_t generation,
                    Events wanted) noexcept {
    auto found = find_always(fd);
    const bool known = found != always_.end();
    const bool same = known && error == EPERM && found->identity.is_still(fd);
    if (known && (!same || change == Change::remove)) always_.erase(found);
    if (error != EPERM) return error;
    if (change == Change::add) return same ? EEXIST : add_always(fd, generation, wanted);
    if (!same) return ENOENT;
    if (change == Change::modify) *found = {fd, generation, wanted, found->identity};
    return 0;
  }

  int add_always(int fd, std::uint32_t generation, Events wanted) noexcept {
    AlwaysReady file{fd, generation, wanted, {}};
    if (const int error = FileIdentity::of(fd, file.identity); error != 0) return error;
    try {
      always_.push_back(file);
    } catch (const std::bad_alloc&) {
      return ENOMEM;
    }
    return 0;
  }

  bool some_always_ready() const noexcept {
    return std::any_of(always_.begin(), always_.end(), [](const AlwaysReady& file) {
      return any(file.wanted & (Events::read | Events::write));
    });
  }

  std::vector<AlwaysReady>::iterator find_always(int fd) noexcept {
    return std::find_if(always_.begin(), always_.end(),
                        [fd](const AlwaysReady& file) { return file.fd == fd; });
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

  // Begins where the last batch ended, so that with more of them than room all get a turn.
  void add_always_ready(Batch& batch) noexcept {
    for (std::size_t n = 0; n < always_.size() && !batch.full(); ++n) {
      if (next_always_ >= always_.size()) next_always_ = 0;
      AlwaysReady& file = always_[next_always_++];
      const Events what = file.wanted & (Events::read | Events::write);
      if (!any(what)) continue;
      const bool gone = !file.identity.is_still(file.fd);
      batch.push({gone ? Ready::kGone : what, file.fd, file.generation});
      if (any(file.wanted & Events::edge)) file.wanted = Events::none;  // it never changes again
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
    event.data.u64 = kTimer;
    return ::epoll_ctl(set, EPOLL_CTL_ADD, timer_.get(), &event) == 0 ? 0 : errno;
  }

  UniqueFd set_;
  UniqueFd old_;    // during a rebuild
  UniqueFd shell_;  // once somebody has asked for fd()
  UniqueFd timer_;  // none if the system has none to give
  TimePoint armed_ = TimePoint::max();
  std::vector<AlwaysReady> always_;
  std::size_t next_always_ = 0;
};

}  // namespace

std::unique_ptr<BackendPort> make_epoll() { return std::make_unique<Epoll>(); }

}  // namespace event::detail
