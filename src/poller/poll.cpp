// poll(2), ppoll(2) where there is one: works everywhere, and costs time for every descriptor
// watched.
#include <fcntl.h>
#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <new>

#include "base/paged_array.hpp"
#include "poller/poll_bits.hpp"
#include "poller/pollers.hpp"
#include "sys/deadline.hpp"
#include "sys/file_identity.hpp"

namespace event_cpp::detail {
namespace {

#ifdef O_PATH
constexpr int kNamesOnly = O_PATH;
#else
constexpr int kNamesOnly = 0;
#endif

// The kernel keeps nothing here, so this backend remembers which file a number stood for: a number
// that was closed behind its back, and perhaps given to another file, is reported as gone.
class Poll final : public Poller {
 public:
  Backend kind() const noexcept override { return Backend::poll; }
  std::size_t kernel_entry() const noexcept override { return 0; }
  Events supported() const noexcept override { return kConditions; }

  int update(Change change, int fd, std::uint32_t generation, Events wanted) noexcept override {
    const std::size_t place = place_of(fd);
    const bool known = place != kNowhere;
    if (change == Change::remove) {
      if (!known) return ENOENT;
      erase(place);
      return 0;
    }
    FileIdentity identity;
    if (const int error = FileIdentity::of(fd, identity); error != 0) return error;
    if (!is_open_for_use(fd)) return EBADF;
    const bool same = known && watched_[place].identity == identity;
    if (change == Change::modify && !same) return ENOENT;
    if (change == Change::add && same) return EEXIST;
    const Watched watched{generation, identity};
    const pollfd polled{any(wanted & Events::edge) ? ~fd : fd, to_poll(wanted), 0};
    if (!known) return append(polled, watched);
    polled_[place] = polled;
    watched_[place] = watched;
    return 0;
  }

  int wait(TimePoint deadline, bool block, ReadyBatch& batch) override {
    batch.start();
    batch.expired = true;
    // The first one is the loop's own wake-up. If it was closed behind our back, and the number is
    // another file's, nothing would end the wait: the loop is to know before.
    if (block && !polled_.empty() && !watched_.front().identity.is_still(polled_.front().fd)) {
      batch.push({ReadyEvent::kGone, polled_.front().fd, watched_.front().generation});
      return 0;
    }
    int count = poll_now_or_until(deadline, block);
    if (count < 0) return error_of_wait();
    // Begins where the last batch ended, so that with more ready than it holds all get a turn.
    const std::size_t total = polled_.size();
    for (std::size_t n = 0; n < total && count > 0 && !batch.full(); ++n) {
      if (start_ >= total) start_ = 0;
      const pollfd& polled = polled_[start_];
      const Watched& watched = watched_[start_++];
      if (polled.revents == 0) continue;
      --count;
      const bool same = watched.identity.is_still(polled.fd);
      batch.push(
          {same ? from_poll(polled.revents) : ReadyEvent::kGone, polled.fd, watched.generation});
    }
    return 0;
  }

  void reserve(std::size_t descriptors) override {
    constexpr std::size_t kOurs = 1;  // the wake-up
    polled_.reserve(descriptors + kOurs);
    watched_.reserve(descriptors + kOurs);
    places_.reserve(descriptors + PagedArray<std::uint32_t>::kPageSize);
  }

 private:
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

  struct Watched {
    std::uint32_t generation;
    FileIdentity identity;
  };

  int poll_now_or_until(TimePoint deadline, bool block) {
    const auto count = static_cast<nfds_t>(polled_.size());
    if (!block) return ::poll(polled_.data(), count, 0);
    if (deadline == TimePoint::max()) return ::poll(polled_.data(), count, -1);
#if EVENT_HAVE_PPOLL
    if (has_ppoll_) {
      const timespec left = to_timespec(time_left(deadline));
      const int ready = ::ppoll(polled_.data(), count, &left, nullptr);
      // An old kernel says ENOSYS, and a filter of system calls EPERM.
      has_ppoll_ = ready >= 0 || (errno != ENOSYS && errno != EPERM);
      if (has_ppoll_) return ready;
    }
#endif
    return ::poll(polled_.data(), count, to_poll_milliseconds(time_left(deadline)));
  }

  // fstat(2) accepts a descriptor that only names a file (O_PATH), and poll(2) does not.
  static bool is_open_for_use(int fd) noexcept {
    const int flags = kNamesOnly != 0 ? ::fcntl(fd, F_GETFL) : 0;
    return flags < 0 || (flags & kNamesOnly) == 0;  // an error is no proof
  }

  // poll(2) takes no more than RLIMIT_NOFILE allows now, though they are open.
  int error_of_wait() const noexcept {
    if (errno == EINTR) return 0;
    rlimit limit{};
    const bool too_many = errno == EINVAL && ::getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
                          polled_.size() > limit.rlim_cur;
    return too_many ? EMFILE : errno;
  }

  // poll(2) passes over negative numbers. There are no edges here, so what is asked for with edge
  // is not asked for.
  static int number_of(const pollfd& polled) noexcept {
    return polled.fd >= 0 ? polled.fd : ~polled.fd;
  }

  std::size_t place_of(int fd) noexcept {
    const std::uint32_t* const place = places_.find(static_cast<std::size_t>(fd));
    return place != nullptr && *place != 0 ? *place - 1 : kNowhere;
  }

  void set_place(int fd, std::size_t place) noexcept {
    places_[static_cast<std::size_t>(fd)] = static_cast<std::uint32_t>(place + 1);
  }

  int append(const pollfd& polled, const Watched& watched) noexcept {
    try {
      places_.make(static_cast<std::size_t>(number_of(polled)));
      watched_.push_back(watched);
      polled_.push_back(polled);
    } catch (const std::bad_alloc&) {
      watched_.resize(polled_.size());
      return ENOMEM;
    }
    set_place(number_of(polled), polled_.size() - 1);
    return 0;
  }

  void erase(std::size_t place) noexcept {
    set_place(number_of(polled_[place]), kNowhere);
    if (place + 1 != polled_.size()) {
      polled_[place] = polled_.back();
      watched_[place] = watched_.back();
      set_place(number_of(polled_[place]), place);
    }
    polled_.pop_back();
    watched_.pop_back();
  }

#if EVENT_HAVE_PPOLL
  bool has_ppoll_ = true;  // until this kernel says otherwise
#endif
  std::vector<pollfd> polled_;
  std::vector<Watched> watched_;      // beside it
  PagedArray<std::uint32_t> places_;  // by descriptor: its place there and 1, or 0
  std::size_t start_ = 0;
};

}  // namespace

std::unique_ptr<Poller> make_poll() { return std::make_unique<Poll>(); }

}  // namespace event_cpp::detail
