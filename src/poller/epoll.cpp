// epoll(7), with a timerfd for waits that end at a deadline.
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

#include "base/unique_fd.hpp"
#include "poller/epoll_timer.hpp"
#include "poller/make_pollers.hpp"
#include "sys/deadline.hpp"

namespace event_cpp::detail {
namespace {

// Where the kernel's entry has the layout of a ReadyEvent, it writes into the batch in place.
constexpr bool kInPlace =
    sizeof(epoll_event) == sizeof(ReadyEvent) &&
    offsetof(epoll_event, events) == offsetof(ReadyEvent, bits) &&
    offsetof(epoll_event, data) == offsetof(ReadyEvent, fd) &&
    offsetof(ReadyEvent, generation) == offsetof(ReadyEvent, fd) + sizeof(int);
static_assert(ReadyEvent::kIn == EPOLLIN && ReadyEvent::kPri == EPOLLPRI &&
              ReadyEvent::kOut == EPOLLOUT && ReadyEvent::kErr == EPOLLERR &&
              ReadyEvent::kHup == EPOLLHUP && ReadyEvent::kRdHup == EPOLLRDHUP);

constexpr std::uint32_t to_epoll(Events interest) noexcept {
  std::uint32_t bits = 0;
  if (any(interest & Events::read)) bits |= EPOLLIN;
  if (any(interest & Events::write)) bits |= EPOLLOUT;
  if (any(interest & Events::closed)) bits |= EPOLLRDHUP;
  if (any(interest & Events::urgent)) bits |= EPOLLPRI;
  if (any(interest & Events::error)) bits |= EPOLLERR;
  if (any(interest & Events::edge)) bits |= EPOLLET;
  if (any(interest & Events::exclusive)) bits |= EPOLLEXCLUSIVE;
  return bits;
}

// What epoll_ctl(2) is given, and what the kernel keeps for an fd in the order of a ReadyEvent:
// reports of it are of `reported`.
epoll_event request(std::uint32_t bits, int reported, std::uint32_t generation) noexcept {
  const std::array<std::uint32_t, 2> words{static_cast<std::uint32_t>(reported), generation};
  return {.events = bits, .data = std::bit_cast<epoll_data_t>(words)};
}

int error_of(int result) noexcept { return result == 0 ? 0 : errno; }

class Epoll final : public Poller {
 public:
  // All fds are opened here: one that was opened later could get the number of an fd that a user
  // closed while it was watched, and then be taken for that one.
  Epoll()
      : Poller({.kind = Backend::epoll,
                .supported = kConditions | Events::edge | Events::exclusive,
                .kernel_entry = kInPlace ? 0 : sizeof(epoll_event),
                .prefers_lazy_removal = true,
                .reports_closed = true}) {
    if (const int error = open(); error != 0) {
      throw std::system_error(error, std::system_category(), "epoll_create1");
    }
  }

  int add(int fd, std::uint32_t generation, Events interest) noexcept override {
    if (!set_) return 0;
    epoll_event event = request(to_epoll(interest), fd, generation);
    return error_of(::epoll_ctl(set_.get(), EPOLL_CTL_ADD, fd, &event));
  }

  int modify(int fd, std::uint32_t generation, Events interest, bool) noexcept override {
    if (!set_) return 0;
    epoll_event event = request(to_epoll(interest), fd, generation);
    return error_of(::epoll_ctl(named().get(), EPOLL_CTL_MOD, fd, &event));
  }

  int remove(int fd) noexcept override {
    return set_ ? error_of(::epoll_ctl(named().get(), EPOLL_CTL_DEL, fd, nullptr)) : 0;
  }

  int wait(TimePoint deadline, bool block, ReadyBatch& batch) override {
    if (batch.expired) timer_.forget();  // the last wait may have reported it
    batch.start();
    if (deadline >= timer_.armed()) [[likely]]
      return wait_for(block ? -1 : 0, batch);
    return wait_until(deadline, block, batch);
  }

  int begin_rebuild() noexcept override {
    UniqueFd fresh = own_internal(::epoll_create1(EPOLL_CLOEXEC));
    if (!fresh) return errno;
    int error = timer_ ? watch_timer(fresh) : 0;
    if (error == 0 && shell_) error = show_in_shell(fresh);
    if (error != 0) return error;
    old_ = std::move(set_);
    set_ = std::move(fresh);
    return 0;
  }

  void end_rebuild(bool keep) noexcept override {
    if (!keep) std::swap(set_, old_);
    // Closing it is not enough: the child of a fork may have it open.
    if (shell_) ::epoll_ctl(shell_.get(), EPOLL_CTL_DEL, old_.get(), nullptr);
    old_ = UniqueFd();
  }

  void detach_after_fork() noexcept override { set_ = UniqueFd(); }

  int reinit() noexcept override {
    if (const int error = open(); error != 0) return error;
    if (!shell_) return 0;
    // Its fd stays: whoever waits for it adds it to a set of the child's own, too.
    const UniqueFd fresh = own_internal(::epoll_create1(EPOLL_CLOEXEC));
    if (!fresh || ::dup3(fresh.get(), shell_.get(), O_CLOEXEC) < 0) return errno;
    return show_in_shell(set_);
  }

  // A repair replaces the set, and whoever waits for it cannot know: so a set with the set in it is
  // shown.
  int fd() noexcept override {
    if (!shell_) {
      shell_ = own_internal(::epoll_create1(EPOLL_CLOEXEC));
      if (shell_ && show_in_shell(set_) != 0) shell_ = UniqueFd();
    }
    return shell_.get();
  }

  void abandon_fds() noexcept override {
    for (UniqueFd* const lost : {&set_, &shell_}) static_cast<void>(lost->release());
    timer_.abandon();
  }

 private:
  int open() noexcept {
    set_ = own_internal(::epoll_create1(EPOLL_CLOEXEC));
    if (!set_) return errno;
    timer_.open();
    // Without it, waits are in whole milliseconds.
    if (timer_ && watch_timer(set_) != 0) timer_.close();
    return 0;
  }

  // The set whose registrations modify() and remove() change.
  const UniqueFd& named() const noexcept { return old_ ? old_ : set_; }

  // The timerfd expires later than `deadline`.
  [[gnu::noinline]] int wait_until(TimePoint deadline, bool block, ReadyBatch& batch) {
    block = block && time_left(deadline) > Duration::zero();
    batch.expired = !block || !timer_.arm(deadline);
    if (!block) return wait_for(0, batch);
    return wait_for(batch.expired ? to_poll_milliseconds(time_left(deadline)) : -1, batch);
  }

  // Waits so many milliseconds, or for ever with -1.
  int wait_for(int timeout, ReadyBatch& batch) {
    auto* const entries = reinterpret_cast<epoll_event*>(
        kInPlace ? reinterpret_cast<std::byte*>(batch.ready()) : batch.kernel_entries());
    const int count =
        ::epoll_wait(set_.get(), entries, static_cast<int>(batch.capacity()), timeout);
    if (count < 0) return error_of_wait();
    if constexpr (!kInPlace) {
      for (int i = 0; i < count; ++i) {
        batch.ready()[i].bits = entries[i].events;
        std::memcpy(&batch.ready()[i].fd, &entries[i].data, sizeof entries[i].data);
      }
    }
    batch.finish(static_cast<std::size_t>(count));
    return 0;
  }

  // EINVAL: the set's fd is another file's now.
  static int error_of_wait() noexcept {
    if (errno == EINTR) return 0;
    return errno == EINVAL ? EBADF : errno;
  }

  int show_in_shell(const UniqueFd& set) noexcept {
    epoll_event event = request(EPOLLIN, 0, 0);
    return error_of(::epoll_ctl(shell_.get(), EPOLL_CTL_ADD, set.get(), &event));
  }

  int watch_timer(const UniqueFd& set) noexcept {
    epoll_event event = request(EPOLLIN | EPOLLET, 0, ReadyEvent::kDeadline);
    return error_of(::epoll_ctl(set.get(), EPOLL_CTL_ADD, timer_.fd(), &event));
  }

  UniqueFd set_;
  UniqueFd old_;    // during a rebuild
  UniqueFd shell_;  // once somebody has called fd()
  EpollTimer timer_;
};

}  // namespace

std::unique_ptr<Poller> make_epoll() { return std::make_unique<Epoll>(); }

}  // namespace event_cpp::detail
