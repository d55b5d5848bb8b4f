// poll(2), ppoll(2) where there is one: works everywhere, and costs time for every fd watched.

#include <cerrno>

#include "poller/make_pollers.hpp"
#include "poller/poll_bits.hpp"
#include "poller/poll_calls.hpp"
#include "poller/polled_fds.hpp"

namespace event_cpp::detail {
namespace {

// The kernel keeps nothing between two calls, so this poller remembers which file an fd stood for.
// An fd that was closed behind its back, and perhaps reused, is reported as gone.
class Poll final : public Poller {
 public:
  Poll() : Poller({.kind = Backend::poll, .supported = kConditions}) {}

  int add(int fd, std::uint32_t generation, Events interest) noexcept override {
    PolledFile file{fd, generation, {}};
    if (const int error = file.identify(); error != 0) return error;
    std::size_t index = fds_.index_of(fd);
    if (index != PolledFds::kNowhere) {
      if (fds_.file(index).identity == file.identity) return EEXIST;
    } else {
      index = fds_.add(fd);
      if (index == PolledFds::kNowhere) return ENOMEM;
    }
    set(index, file, interest);
    return 0;
  }

  int modify(int fd, std::uint32_t generation, Events interest, bool) noexcept override {
    PolledFile file{fd, generation, {}};
    if (const int error = file.identify(); error != 0) return error;
    const std::size_t index = fds_.index_of(fd);
    if (index == PolledFds::kNowhere || fds_.file(index).identity != file.identity) return ENOENT;
    set(index, file, interest);
    return 0;
  }

  int remove(int fd) noexcept override {
    const std::size_t index = fds_.index_of(fd);
    if (index == PolledFds::kNowhere) return ENOENT;
    fds_.remove(index);
    return 0;
  }

  void reserve(std::size_t count) override {
    constexpr std::size_t kOurs = 1;  // the wake-up
    fds_.reserve(count + kOurs);
  }

  int wait(TimePoint deadline, bool block, ReadyBatch& batch) override {
    batch.start();
    batch.expired = true;
    // The first one is the loop's own wake-up. If it was closed behind our back, and its fd is
    // another file's, nothing would end the wait: the loop must know before.
    if (block && fds_.size() > 0 && !fds_.file(0).is_same_file()) {
      batch.push({ReadyEvent::kGone, fds_.file(0).fd, fds_.file(0).generation});
      return 0;
    }
    std::vector<pollfd>& polled = fds_.polled();
    int count = calls_.wait(polled, deadline, block);
    if (count < 0) return PollCalls::error_of_wait(polled.size());
    // Begins where the last batch ended, so that with more ready than it holds all get a turn.
    for (std::size_t n = polled.size(); n > 0 && count > 0 && !batch.full(); --n) {
      if (start_ >= polled.size()) start_ = 0;
      const short bits = polled[start_].revents;
      const PolledFile& file = fds_.file(start_++);
      if (bits == 0) continue;
      --count;
      const Events what = file.is_same_file() ? from_poll(bits) : ReadyEvent::kGone;
      batch.push({what, file.fd, file.generation});
    }
    return 0;
  }

 private:
  // There are no edges here, so what is asked for with edge is not asked for.
  void set(std::size_t index, const PolledFile& file, Events interest) noexcept {
    fds_.set(index, file, to_poll(interest), any(interest & Events::edge));
  }

  PollCalls calls_;
  PolledFds fds_;
  std::size_t start_ = 0;  // index of the fd that is reported first
};

}  // namespace

std::unique_ptr<Poller> make_poll() { return std::make_unique<Poll>(); }

}  // namespace event_cpp::detail
