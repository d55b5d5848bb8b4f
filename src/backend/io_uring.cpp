// io_uring(7), used to wait: one poll request for each descriptor, told and waited for in one call.
#include "backend/io_uring.hpp"

#include <sys/epoll.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <exception>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

#include "backend/always_ready.hpp"
#include "backend/backends.hpp"
#include "backend/file_identity.hpp"
#include "backend/poll_bits.hpp"
#include "backend/poll_request.hpp"
#include "backend/ring.hpp"
#include "core/grow_array.hpp"
#include "core/paged_array.hpp"

namespace event_cpp::detail {
namespace {

// A multishot poll request is bound to the file, not to the number, and reports changes. So that
// levels are reported, one that has reported is updated with what is wanted: the kernel then looks
// at the file anew, and where it cannot, because a change is under way, looks when it reports that.
class IoUring final : public BackendPort {
 public:
  explicit IoUring(RingSize size) : size_(size) {
    if (const int error = ring_.open(size_); error != 0) {
      throw std::system_error(error, std::system_category(), "io_uring_setup");
    }
  }
  ~IoUring() override { close_ring(); }

  Backend kind() const noexcept override { return epoll_ ? epoll_->kind() : Backend::io_uring; }
  std::size_t kernel_entry() const noexcept override {
    return std::max(sizeof(pollfd), sizeof(epoll_event));
  }
  Events supported() const noexcept override {
    return kConditions | Events::edge | Events::exclusive;
  }
  bool holds_files() const noexcept override { return true; }
  bool is_busy() const noexcept override {
    return epoll_ ? epoll_->is_busy() : always_.is_any_ready();
  }

  int update(Change change, int fd, std::uint32_t generation, Events wanted) noexcept override {
    if (epoll_) return epoll_->update(change, fd, generation, wanted);
    if (abandoned_) return 0;
    Watched* const watched = find(fd);
    if (change == Change::remove && watched != nullptr) {
      forget(fd, *watched);
      return 0;
    }
    struct stat status {};
    const int error = ::fstat(fd, &status) == 0 ? 0 : errno;
    // A request for one of these would be completed at once, each time anew.
    const bool always = error == 0 && AlwaysReady::is_such(status.st_mode);
    if (always || !always_.empty()) {
      if (always && watched != nullptr) forget(fd, *watched);
      const int result = always_.update(always ? EPERM : error, change, fd, generation, wanted);
      if (always) return result;
    }
    if (error != 0) return error;
    if (change == Change::remove) return ENOENT;
    const FileIdentity identity = FileIdentity::of(status);
    const bool same = watched != nullptr && watched->identity == identity;
    if (change == Change::add) {
      return same ? EEXIST : add(fd, identity, generation, wanted);
    }
    if (!same) return ENOENT;
    watched->generation = generation;
    watched->wanted = wanted;
    mark_changed(fd, *watched);
    return 0;
  }

  int narrow(int fd, std::uint32_t generation, Events wanted) noexcept override {
    Watched* const watched = epoll_ || abandoned_ ? nullptr : find(fd);
    if (watched == nullptr) return update(Change::modify, fd, generation, wanted);
    watched->wanted = wanted;
    mark_changed(fd, *watched);
    return 0;
  }

  int wait(TimePoint deadline, bool block, Batch& batch) noexcept override {
    if (epoll_) return epoll_->wait(deadline, block, batch);
    batch.start();
    batch.expired = deadline != TimePoint::max();
    error_ = 0;
    ++round_;
    const int error = ask(deadline, block, batch);
    if (ring_.has_entries()) [[unlikely]]
      take_back_requests();
    return error;
  }

  void abandon() noexcept override {
    if (epoll_) return epoll_->abandon();
    ring_.close();
    leaving_ = 0;
    abandoned_ = true;
  }

  int restart() noexcept override {
    if (epoll_) return epoll_->restart();
    watched_.for_each([](std::size_t, Watched& watched) { watched.known = watched.armed = false; });
    always_.clear();
    known_ = 0;
    ghosts_ = changed_.size();
    leaving_ = 0;
    if (const int error = ring_.open(size_); error != 0) return error;
    abandoned_ = false;
    return 0;
  }

  // A ring whose work is done in calls of its own wakes nobody who polls it, as of Linux 6.18: a
  // base inside another loop goes over to epoll.
  int fd() noexcept override {
    if (!epoll_) go_over();
    return epoll_ ? epoll_->fd() : -1;
  }
  int begin_rebuild() noexcept override { return epoll_ ? epoll_->begin_rebuild() : 0; }
  void end_rebuild(bool keep) noexcept override {
    if (epoll_) epoll_->end_rebuild(keep);
  }

  // The files of what was removed are open until the kernel has told of its end.
  void let_go() noexcept override {
    if (leaving_ == 0) return;
    if (!ring_.is_mine()) {
      remake();
      return;
    }
    while (leaving_ > 0 && ring_.submit_and_get_events() == 0) {
      if (!take_leftovers()) break;
    }
  }

  void reserve(std::size_t descriptors) override {
    watched_.reserve(descriptors + PagedArray<Watched>::kPageSize);
    changed_.reserve(descriptors + kOurs);
  }

 private:
  struct Watched {
    FileIdentity identity;
    std::uint32_t generation = 0;
    std::uint32_t serial = 0;  // of the poll request, or of the last one
    Events wanted = Events::none;
    Events told = Events::none;  // to the kernel
    std::uint16_t asked_in = 0;  // the wait for which the request was made or updated
    std::uint8_t repeats = 0;    // how often it was found ready without a pause
    bool known : 1 = false;
    bool armed : 1 = false;        // there is a poll request
    bool changed : 1 = false;      // in changed_
    bool wants_other : 1 = false;  // the last update was one of what is wanted, too
  };
  static_assert(sizeof(FileIdentity) != 16 || sizeof(Watched) == 32);

  // Fewer polls completed in one call than this mean that the kernel has no more of them for now.
  static constexpr unsigned kOneRound = 20;
  static constexpr unsigned kLargest = 8192;  // a larger one finds requests no faster
  static constexpr std::size_t kOurs = 8;     // descriptors of the loop itself, and some

  Watched* find(int fd) noexcept {
    Watched* const watched = watched_.find(static_cast<std::size_t>(fd));
    return watched != nullptr && watched->known ? watched : nullptr;
  }

  int add(int fd, const FileIdentity& identity, std::uint32_t generation, Events wanted) noexcept {
    Watched* watched = nullptr;
    try {
      watched = &watched_.make(static_cast<std::size_t>(fd));
      // So that whatever is known can be marked as changed.
      changed_.make_room(known_ + ghosts_ + 1);
    } catch (const std::bad_alloc&) {
      return ENOMEM;
    }
    if (watched->known) forget(fd, *watched);
    watched->identity = identity;
    watched->generation = generation;
    watched->wanted = wanted;
    watched->known = true;
    ++known_;
    if (watched->changed) --ghosts_;
    mark_changed(fd, *watched);
    return 0;
  }

  void forget(int fd, Watched& watched) noexcept {
    if (watched.armed) disarm(fd, watched);
    watched.known = false;
    --known_;
    if (watched.changed) ++ghosts_;
  }

  void mark_changed(int fd, Watched& watched) noexcept {
    if (watched.changed) return;
    watched.changed = true;
    changed_.push_back(fd);
  }

  // The entry of a request about a poll request.
  io_uring_sqe* entry_about() noexcept {
    io_uring_sqe* const entry = ring_.is_mine() ? ring_.next() : nullptr;
    broken_ = broken_ || entry == nullptr;
    return entry;
  }

  void disarm(int fd, Watched& watched) noexcept {
    if (io_uring_sqe* const entry = entry_about(); entry != nullptr) {
      remove_request(entry, {fd, watched.serial});
    }
    watched.armed = false;
    ++watched.serial;
    ++leaving_;
  }

  // A ring that this thread may use. Its poll requests are lost with an old one, and made anew.
  int claim() noexcept {
    if (broken_ || (ring_.is_open() && ring_.claim() == EEXIST)) remake();
    if (is_too_small()) {
      do {
        size_.submissions *= 4;
        size_.completions *= 4;
      } while (is_too_small());
      close_ring();
      remake();
    }
    if (!ring_.is_open()) {
      if (const int error = ring_.open(size_); error != 0) return error;
    }
    return ring_.claim();
  }

  bool is_too_small() const noexcept {
    return size_.grows && size_.completions < kLargest && known_ > size_.completions / 8;
  }

  // Closing it alone would leave the files open for some milliseconds.
  void close_ring() noexcept {
    if (ring_.is_mine()) {
      watched_.for_each([this](std::size_t fd, Watched& watched) {
        if (watched.armed) disarm(static_cast<int>(fd), watched);
      });
      let_go();
    }
    ring_.close();
  }

  // If the kernel has no room for all of it there, nothing changes. What else cannot be told to
  // epoll is not open any more.
  void go_over() noexcept {
    std::unique_ptr<BackendPort> epoll;
    try {
      epoll = make_epoll();
    } catch (const std::exception&) {
      return;
    }
    bool has_room = true;
    const auto add = [&](int fd, std::uint32_t generation, Events wanted) {
      const int error = epoll->update(Change::add, fd, generation, wanted);
      has_room = has_room && (error == 0 || error == EBADF);
    };
    watched_.for_each([&](std::size_t fd, const Watched& watched) {
      if (watched.known) add(static_cast<int>(fd), watched.generation, watched.wanted);
    });
    always_.for_each(add);
    if (!has_room) return;
    close_ring();
    epoll_ = std::move(epoll);
  }

  void remake() noexcept {
    ring_.close();
    broken_ = false;
    leaving_ = 0;
    watched_.for_each([this](std::size_t fd, Watched& watched) {
      if (!watched.known) return;
      watched.armed = false;
      mark_changed(static_cast<int>(fd), watched);
    });
  }

  // The wait itself.
  int ask(TimePoint deadline, bool block, Batch& batch) noexcept {
    int error = prepare(batch);
    if (error != 0 && batch.size() == 0) return error;
    if (!always_.empty()) block = block && !always_.is_any_ready();
    const bool left_over = ring_.peek() != nullptr;
    if (left_over || batch.size() != 0) block = false;
    doubtful_ = left_over || ring_.has_work();
    if (block) {
      error = ring_.submit_and_wait(deadline);
    } else if (doubtful_ || ring_.has_entries()) {
      error = ring_.submit_and_get_events();
    }
    collect(batch);
    if (doubtful_) confirm(batch);
    if (!always_.empty()) always_.report(batch);
    if (batch.size() != 0 || error == EINTR || error == ETIME) return 0;
    return error != 0 ? error : error_;
  }

  // The kernel has not taken all entries. Those that name a number are not left to the next wait:
  // by then it may be another file's.
  void take_back_requests() noexcept {
    ring_.for_each_entry([this](io_uring_sqe& entry) {
      if (entry.opcode != IORING_OP_POLL_ADD) return;
      const RequestName name = RequestName::of(entry.user_data);
      make_nothing(&entry, name);
      Watched& watched = watched_[static_cast<std::size_t>(name.fd())];
      watched.armed = false;
      mark_changed(name.fd(), watched);
    });
  }

  // Entries for all that has changed since the last wait. Only now: an entry names a file by its
  // number, and that is looked up when it is submitted.
  int prepare(Batch& batch) noexcept {
    if (const int error = claim(); error != 0) return error;
    std::size_t done = 0;
    while (done < changed_.size() && tell(changed_[done], batch)) ++done;
    const bool all = done == changed_.size();
    std::copy(changed_.begin() + done, changed_.end(), changed_.begin());
    for (; done > 0; --done) changed_.pop_back();
    return all ? 0 : EAGAIN;
  }

  // Returns false if there is no room for it.
  bool tell(int fd, Batch& batch) noexcept {
    Watched& watched = watched_[static_cast<std::size_t>(fd)];
    const bool wanted = watched.known && any(watched.wanted & kConditions);
    if (!wanted && watched.armed) disarm(fd, watched);
    watched.changed = false;
    if (!watched.known) --ghosts_;
    if (!wanted) return true;
    // A request for another file would keep that one open.
    if (!watched.armed && !batch.full() && !watched.identity.is_still(fd)) {
      batch.push({Ready::kGone, fd, watched.generation});
      return true;
    }
    io_uring_sqe* const entry = batch.full() ? nullptr : ring_.next();
    watched.changed = entry == nullptr;
    if (entry == nullptr) return false;
    watched.asked_in = round_;
    watched.wants_other = watched.told != watched.wanted;
    watched.told = watched.wanted;
    if (watched.armed) {
      update_request(entry, {fd, watched.serial}, watched.wanted);
    } else {
      watched.armed = true;
      watched.repeats = 0;
      make_request(entry, {fd, ++watched.serial}, watched.wanted);
    }
    return true;
  }

  // Where nothing can be reported, it is noted as something to look at anew. Returns whether there
  // was anything.
  bool take_leftovers() noexcept {
    bool any = false;
    while (const io_uring_cqe* const completion = ring_.peek()) {
      any = true;
      take(*completion, nullptr);
      ring_.pop();
    }
    return any;
  }

  void collect(Batch& batch) noexcept {
    for (;;) {
      unsigned taken = 0;
      while (!batch.full()) {
        const io_uring_cqe* const completion = ring_.peek();
        if (completion == nullptr) break;
        if (!RequestName::of(completion->user_data).is_about()) ++taken;
        take(*completion, &batch);
        ring_.pop();
      }
      const bool more = taken >= kOneRound || ring_.has_entries();
      if (batch.full() || !more || ring_.submit_and_get_events() != 0) return;
    }
  }

  void take(const io_uring_cqe& completion, Batch* batch) noexcept {
    const RequestName name = RequestName::of(completion.user_data);
    const int fd = name.fd();
    Watched* const watched = watched_.find(static_cast<std::size_t>(fd));
    if (watched == nullptr) return;
    const bool current = watched->known && watched->serial == name.serial();
    if (name.is_about()) {
      if (completion.res == -EALREADY) take_refusal(name, *watched, current);
      return;
    }
    const bool ended = (completion.flags & IORING_CQE_F_MORE) == 0;
    if (!current) {
      if (ended && leaving_ > 0) --leaving_;
      return;
    }
    if (ended) watched->armed = false;
    if (batch == nullptr || completion.res == -ECANCELED) {
      mark_changed(fd, *watched);
    } else if (completion.res >= 0) {
      report(fd, *watched, from_poll(static_cast<short>(completion.res)), *batch);
    } else {
      take_error(fd, *watched, -completion.res, *batch);
    }
  }

  // An update or a removal was not done, as a change is about to be reported. (Where there is
  // nothing any more to update or remove, that has said so itself.)
  void take_refusal(RequestName name, const Watched& watched, bool current) noexcept {
    if (current && !watched.wants_other) return;  // then it is looked at anyway
    io_uring_sqe* const entry = entry_about();
    if (entry == nullptr) return;
    if (current) {
      update_request(entry, name, watched.wanted);
    } else {
      cancel_request(entry, name);
    }
  }

  void take_error(int fd, Watched& watched, int error, Batch& batch) noexcept {
    if (error == EBADF) {
      batch.push({Ready::kGone, fd, watched.generation});
    } else if (error != EINVAL) {  // which means that nothing could ever end the wait
      error_ = error;
      mark_changed(fd, watched);
    }
  }

  // The request is one for this file; but if that stays ready, somebody might have closed it and
  // not said so.
  void report(int fd, Watched& watched, Events what, Batch& batch) noexcept {
    const bool again = watched.asked_in == round_;
    watched.repeats = again ? static_cast<std::uint8_t>(watched.repeats + 1) : std::uint8_t{0};
    const bool look = watched.repeats > 1 && std::has_single_bit(watched.repeats);
    const bool gone = look && !watched.identity.is_still(fd);
    if (!watched.armed || !any(watched.wanted & Events::edge)) mark_changed(fd, watched);
    if (any(watched.wanted & Events::urgent)) doubtful_ = true;
    batch.push({gone ? Ready::kGone : what, fd, watched.generation});
  }

  // What happened while callbacks ran may be over, as one may have read it all, and what is said of
  // urgent data may be meant for other data: poll(2) knows.
  void confirm(Batch& batch) noexcept {
    auto* const polled = reinterpret_cast<pollfd*>(batch.kernel_entries());
    Ready* const reports = batch.ready();
    const std::size_t count = batch.size();
    for (std::size_t i = 0; i < count; ++i) {
      const auto number = static_cast<std::size_t>(reports[i].fd);
      polled[i] = {reports[i].fd, to_poll(watched_[number].wanted), 0};
    }
    if (count == 0 || ::poll(polled, static_cast<nfds_t>(count), 0) < 0) return;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const bool gone = any(reports[i].what() & Ready::kGone);
      if (!gone && polled[i].revents == 0) continue;
      const Events what = gone ? Ready::kGone : from_poll(polled[i].revents);
      reports[kept++] = {what, reports[i].fd, reports[i].generation};
    }
    batch.finish(kept);
  }

  RingSize size_;
  Ring ring_;
  std::unique_ptr<BackendPort> epoll_;  // which does it all, once somebody has asked for fd()
  PagedArray<Watched> watched_;         // by descriptor
  GrowArray<int> changed_;              // of which the kernel is to be told
  std::size_t known_ = 0;
  std::size_t ghosts_ = 0;   // descriptors in changed_ that are not known any more
  std::size_t leaving_ = 0;  // poll requests that were removed, and have not ended yet
  AlwaysReady always_;
  std::uint16_t round_ = 0;  // counts the waits
  int error_ = 0;            // of a request that could not be made in this wait
  bool doubtful_ = false;    // whether what this wait reports is true
  bool broken_ = false;      // the ring cannot be told all that it must be
  bool abandoned_ = false;
};

}  // namespace

std::unique_ptr<BackendPort> make_io_uring(RingSize size) {
  return std::make_unique<IoUring>(size);
}

std::unique_ptr<BackendPort> make_io_uring() { return make_io_uring(RingSize{}); }

}  // namespace event_cpp::detail
