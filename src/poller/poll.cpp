// poll(2), ppoll(2) where there is one: works everywhere, and costs time for every fd watched.

#include <cerrno>
#include <new>

#include "base/paged_array.hpp"
#include "poller/poll_bits.hpp"
#include "poller/poll_calls.hpp"
#include "poller/pollers.hpp"
#include "sys/file_identity.hpp"
#include "sys/open_for_use.hpp"

namespace event_cpp::detail {
namespace {

// The kernel keeps nothing between two calls, so this poller remembers which file an fd stood for.
// An fd that was closed behind its back, and perhaps reused, is reported as gone.
class Poll final : public Poller {
 public:
  Poll() : Poller({.kind = Backend::poll, .supported = kConditions}) {}

  int add(int fd, std::uint32_t generation, Events interest) noexcept override {
    Watched watched{fd, generation, {}};
    if (const int error = identify(watched); error != 0) return error;
    if (const std::size_t index = index_of(fd); index != kNowhere) {
      if (watched_[index].identity == watched.identity) return EEXIST;
      return set(index, watched, interest);
    }
    try {
      indexes_.make(static_cast<std::size_t>(fd));
      watched_.emplace_back();
      polled_.emplace_back();
    } catch (const std::bad_alloc&) {
      watched_.resize(polled_.size());
      return ENOMEM;
    }
    return set(polled_.size() - 1, watched, interest);
  }

  int modify(int fd, std::uint32_t generation, Events interest, bool) noexcept override {
    Watched watched{fd, generation, {}};
    if (const int error = identify(watched); error != 0) return error;
    const std::size_t index = index_of(fd);
    const bool same = index != kNowhere && watched_[index].identity == watched.identity;
    return same ? set(index, watched, interest) : ENOENT;
  }

  int remove(int fd) noexcept override {
    const std::size_t index = index_of(fd);
    if (index == kNowhere) return ENOENT;
    indexes_[static_cast<std::size_t>(watched_.back().fd)] = static_cast<std::uint32_t>(index + 1);
    indexes_[static_cast<std::size_t>(fd)] = 0;
    watched_[index] = watched_.back();
    polled_[index] = polled_.back();
    watched_.pop_back();
    polled_.pop_back();
    return 0;
  }

  void reserve(std::size_t count) override {
    constexpr std::size_t kOurs = 1;  // the wake-up
    polled_.reserve(count + kOurs);
    watched_.reserve(count + kOurs);
    indexes_.reserve(count + PagedArray<std::uint32_t>::kPageSize);
  }

  int wait(TimePoint deadline, bool block, ReadyBatch& batch) override {
    batch.start();
    batch.expired = true;
    // The first one is the loop's own wake-up. If it was closed behind our back, and its fd is
    // another file's, nothing would end the wait: the loop must know before.
    if (block && !watched_.empty() && !watched_.front().is_same_file()) {
      batch.push({ReadyEvent::kGone, watched_.front().fd, watched_.front().generation});
      return 0;
    }
    int count = calls_.wait(polled_, deadline, block);
    if (count < 0) return PollCalls::error_of_wait(polled_.size());
    // Begins where the last batch ended, so that with more ready than it holds all get a turn.
    for (std::size_t n = polled_.size(); n > 0 && count > 0 && !batch.full(); --n) {
      if (start_ >= polled_.size()) start_ = 0;
      const short bits = polled_[start_].revents;
      const Watched& watched = watched_[start_++];
      if (bits == 0) continue;
      --count;
      const Events what = watched.is_same_file() ? from_poll(bits) : ReadyEvent::kGone;
      batch.push({what, watched.fd, watched.generation});
    }
    return 0;
  }

 private:
  static constexpr std::size_t kNowhere = static_cast<std::size_t>(-1);

  struct Watched {
    int fd = -1;
    std::uint32_t generation = 0;
    FileIdentity identity;

    bool is_same_file() const noexcept { return identity.is_still(fd); }
  };

  static int identify(Watched& watched) noexcept {
    const int error = FileIdentity::of(watched.fd, watched.identity);
    return error != 0 || is_open_for_use(watched.fd) ? error : EBADF;
  }

  std::size_t index_of(int fd) noexcept {
    const std::uint32_t* const index = indexes_.find(static_cast<std::size_t>(fd));
    return index != nullptr && *index != 0 ? *index - 1 : kNowhere;
  }

  // There are no edges here, so what is asked for with edge is not asked for: poll(2) passes over
  // negative fds.
  int set(std::size_t index, const Watched& watched, Events interest) noexcept {
    const int fd = any(interest & Events::edge) ? -1 : watched.fd;
    indexes_[static_cast<std::size_t>(watched.fd)] = static_cast<std::uint32_t>(index + 1);
    watched_[index] = watched;
    polled_[index] = {fd, to_poll(interest), 0};
    return 0;
  }

  PollCalls calls_;
  std::vector<pollfd> polled_;
  std::vector<Watched> watched_;       // beside it
  PagedArray<std::uint32_t> indexes_;  // by fd: its index there and 1, or 0
  std::size_t start_ = 0;
};

}  // namespace

std::unique_ptr<Poller> make_poll() { return std::make_unique<Poll>(); }

}  // namespace event_cpp::detail
