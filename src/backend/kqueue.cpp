// kqueue(2), of the BSDs and macOS.
#include <sys/event.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>

#include "backend/always_ready.hpp"
#include "backend/backends.hpp"
#include "backend/deadline.hpp"
#include "backend/kernel_queue.hpp"
#include "backend/kqueue_changes.hpp"
#include "backend/kqueue_map.hpp"
#include "core/paged_array.hpp"

namespace event_cpp::detail {
namespace {

// Says that a filter is not for this kind of file; poll(2) then calls it ready.
constexpr bool means_unsupported(int error) noexcept {
  return error == EINVAL || error == ENODEV || error == EOPNOTSUPP || error == ENOTSUP ||
         error == EPERM;
}

// A knote, which is one filter on one descriptor, goes when its number is closed, whatever
// duplicates there are: so none is left behind, and that a knote is gone tells that the number
// stands for another file. That is why one that nobody needs is switched off and kept.
class Kqueue final : public BackendPort {
 public:
  Kqueue() {
    if (const int error = reopen_kqueue(queue_, forks_); error != 0) {
      throw std::system_error(error, std::system_category(), "kqueue");
    }
  }
  ~Kqueue() override { close_kqueue(queue_, forks_); }

  Backend kind() const noexcept override { return Backend::kqueue; }
  std::size_t kernel_entry() const noexcept override { return sizeof(struct kevent); }
  Events supported() const noexcept override {
    return Events::read | Events::write | Events::closed | Events::edge |
           (kKqueueConstants.has_except ? Events::urgent : Events::none);
  }

  int update(Change change, int fd, std::uint32_t generation, Events wanted) noexcept override {
    if (abandoned_) return 0;
    const int error = tell(change, fd, generation, wanted);
    if (error != EPERM && always_.empty()) return error;
    return always_.update(error, change, fd, generation, wanted);
  }

  // With the next wait, if it does.
  int narrow(int fd, std::uint32_t generation, Events wanted) noexcept override {
    Entry* const entry = abandoned_ ? nullptr : entries_.find(static_cast<std::size_t>(fd));
    if (entry == nullptr || !entry->is_registered || is_shown_) {
      return update(Change::modify, fd, generation, wanted);
    }
    const KqueueWatch watch = to_kqueue(wanted, entry->knotes.told);
    if (!only_switches_off(entry->knotes.told, watch)) {
      return update(Change::modify, fd, generation, wanted);
    }
    switch_off(fd, *entry, watch);
    return 0;
  }

  int wait(TimePoint deadline, bool block, Batch& batch) noexcept override {
    batch.start();
    batch.expired = deadline != TimePoint::max();
    block = block && !is_busy();
    auto* const entries = reinterpret_cast<struct kevent*>(batch.kernel_entries());
    const int count = take(deadline, block, entries, batch.capacity());
    if (count < 0) return errno == EINTR ? 0 : errno;
    translate(entries, count, batch);
    if (!always_.empty()) always_.report(batch);
    return 0;
  }

  void abandon() noexcept override { abandoned_ = true; }

  int restart() noexcept override {
    always_.clear();
    entries_.for_each([](std::size_t, Entry& entry) { entry = Entry{}; });
    change_count_ = 0;
    if (const int error = reopen_kqueue(queue_, forks_); error != 0) return error;
    abandoned_ = false;
    return 0;
  }

  int fd() noexcept override {
    is_shown_ = true;
    flush();
    return queue_.get();
  }

  // The kernel looks again at what was ready only when it is asked, and calls the queue readable
  // until then. What it gives but once it is to give again.
  void settle() noexcept override {
    if (!is_shown_) return;
    std::array<struct kevent, 64> found;
    const int count = take(TimePoint::max(), false, found.data(), found.size());
    for (int i = 0; i < count; ++i) {
      const struct kevent& report = found[static_cast<std::size_t>(i)];
      Ready ready{};
      if (!understand(report, ready)) continue;
      const Entry& entry = entries_[static_cast<std::size_t>(ready.fd)];
      const std::size_t filter = place_of(report.filter);
      if (reports_changes(entry.knotes.told.by[filter])) look_again(ready.fd, entry, filter);
    }
    flush();
  }

  bool is_busy() const noexcept override { return always_.is_any_ready(); }

  void reserve(std::size_t descriptors) override {
    entries_.reserve(descriptors + PagedArray<Entry>::kPageSize);
  }

 private:
  static constexpr std::size_t kMostQueued = 32;  // less than a batch has room for: R58

  struct Entry {
    Knotes knotes;
    bool is_registered = false;
    bool is_socket = false;
    std::uint16_t place = 0;  // of its report in the batch, if that is its
  };
  static_assert(sizeof(Entry) == 12);

  // --- update() ---

  int tell(Change change, int fd, std::uint32_t generation, Events wanted) noexcept {
    Entry* const entry = entries_.find(static_cast<std::size_t>(fd));
    if (change == Change::add) return add(fd, generation, wanted);
    if (entry == nullptr || !entry->is_registered) return error_of_unknown(fd);
    if (change == Change::modify) return modify(fd, *entry, generation, wanted);
    remove(fd, *entry);
    return 0;
  }

  static int error_of_unknown(int fd) noexcept {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return errno;
    return AlwaysReady::is_such(status.st_mode) || S_ISCHR(status.st_mode) ? EPERM : ENOENT;
  }

  int add(int fd, std::uint32_t generation, Events wanted) noexcept {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return errno;
    Entry* entry = nullptr;
    try {
      entry = &entries_.make(static_cast<std::size_t>(fd));
    } catch (const std::bad_alloc&) {
      return ENOMEM;
    }
    if (entry->is_registered) {
      const int error = change_now(fd, *entry, entry->knotes.told);
      if (error != ENOENT) return error == 0 ? EEXIST : error;
    }
    entry->is_registered = false;
    if (AlwaysReady::is_such(status.st_mode)) return EPERM;
    entry->knotes.generation = generation;
    entry->is_socket = S_ISSOCK(status.st_mode);
    const int error = change_now(fd, *entry, to_kqueue(wanted, entry->knotes.told));
    entry->is_registered = error == 0;
    return S_ISCHR(status.st_mode) && means_unsupported(error) ? EPERM : error;
  }

  int modify(int fd, Entry& entry, std::uint32_t generation, Events wanted) noexcept {
    entry.knotes.generation = generation;
    return change_now(fd, entry, to_kqueue(wanted, entry.knotes.told));
  }

  // The descriptor is likely to be closed next, which does the same.
  void remove(int fd, Entry& entry) noexcept {
    for (std::size_t filter = 0; filter < KqueueWatch::kFilters; ++filter) {
      if (entry.knotes.told.by[filter] == Watching::none) continue;
      queue(entry.knotes.change(fd, filter, EV_DELETE));
    }
    entry.knotes.told = {};
    entry.is_registered = false;
    if (is_shown_) flush();
  }

  void switch_off(int fd, Entry& entry, const KqueueWatch& to) noexcept {
    for (std::size_t filter = 0; filter < KqueueWatch::kFilters; ++filter) {
      if (entry.knotes.told.by[filter] == to.by[filter]) continue;
      queue(entry.knotes.change(fd, filter, EV_DISABLE));
    }
    entry.knotes.told = to;
  }

  // Has the kernel watch as `to` says, at once. Returns 0 or an errno, and then nothing has
  // changed.
  int change_now(int fd, Entry& entry, const KqueueWatch& to) noexcept {
    const KqueueWatch before = entry.knotes.told;
    if (entry.is_registered && before == KqueueWatch{}) return ENOENT;  // it is known to be gone
    const KqueueChanges changes(fd, entry.knotes, to, entry.is_registered);
    KqueueOutcome outcome{.now = before};
    if (const int error = submit(changes, outcome); error != 0) return error;
    entry.knotes.told = outcome.now;
    if (outcome.other_file || outcome.error != 0) {
      undo(fd, entry, outcome.other_file ? KqueueWatch{} : before);
      return outcome.error == EBADF || !outcome.other_file ? outcome.error : ENOENT;
    }
    return outcome.no_reader ? watch_broken_pipe(fd, entry, to, before) : 0;
  }

  // Its end shows on the read filter just as well.
  int watch_broken_pipe(int fd, Entry& entry, KqueueWatch to, const KqueueWatch& before) noexcept {
    to.by[KqueueWatch::kRead] = to.by[KqueueWatch::kWrite];
    to.by[KqueueWatch::kWrite] = Watching::none;
    const bool was_registered = std::exchange(entry.is_registered, false);
    const int error = change_now(fd, entry, to);
    entry.is_registered = was_registered;
    if (error != 0) undo(fd, entry, before);
    return error;
  }

  void undo(int fd, Entry& entry, const KqueueWatch& before) noexcept {
    KqueueOutcome outcome{.now = entry.knotes.told};
    const auto changes = KqueueChanges::undoing(fd, entry.knotes, before);
    if (changes.size() != 0) static_cast<void>(submit(changes, outcome));
    entry.knotes.told = outcome.now;
  }

  // --- changes ---

  // For the next call that is made anyway. Errors are of knotes that went with their descriptor.
  void queue(const struct kevent& change) noexcept {
    if (change_count_ == kMostQueued) flush();
    // Still full, if the kernel would not: what is lost is made up for when it shows.
    if (change_count_ < kMostQueued) changes_[change_count_++] = change;
  }

  void flush() noexcept {
    if (change_count_ == 0) return;
    changes_[change_count_ - 1].flags |= EV_RECEIPT;  // or what is ready would be taken, and lost
    std::array<struct kevent, kMostQueued> errors;
    const int count =
        tell_kqueue(queue_.get(), changes_.data(), change_count_, errors.data(), change_count_);
    if (count >= 0) change_count_ = 0;
  }

  // Makes the changes, after those that are queued. Returns the errno of the call, and then nothing
  // has changed.
  int submit(const KqueueChanges& changes, KqueueOutcome& outcome) noexcept {
    std::array<struct kevent, kMostQueued + KqueueChanges::kMost> results;
    std::copy(changes.begin(), changes.end(), changes_.begin() + change_count_);
    const std::size_t all = change_count_ + changes.size();
    const int count = tell_kqueue(queue_.get(), changes_.data(), all, results.data(), all);
    if (count < 0) return errno;
    change_count_ = 0;
    // The queued ones are answered if they failed, these in any case.
    const std::size_t first = static_cast<std::size_t>(count) - changes.size();
    for (std::size_t i = 0; i < changes.size(); ++i) {
      outcome.note(changes, i, static_cast<int>(results[first + i].data));
    }
    return 0;
  }

  // --- wait() ---

  // Errors of changes come instead of what is ready.
  int take(TimePoint deadline, bool block, struct kevent* entries, std::size_t room) noexcept {
    int count = 0;
    do {
      count = take_or_sleep(deadline, block, entries, room);
    } while (count > 0 && (entries[count - 1].flags & EV_ERROR) != 0);
    return count;
  }

  // kevent(2) with what is queued, which is done even if the call is interrupted.
  int take_or_sleep(TimePoint deadline, bool block, struct kevent* entries,
                    std::size_t room) noexcept {
    constexpr Duration kLongest = std::chrono::hours(24 * 7);  // some systems refuse years
    timespec timeout{};
    if (block && deadline != TimePoint::max()) {
      timeout = to_timespec(std::min(time_left(deadline), kLongest));
    }
    const bool for_ever = block && deadline == TimePoint::max();
    const int count =
        ::kevent(queue_.get(), changes_.data(), static_cast<KqueueCount>(change_count_), entries,
                 static_cast<KqueueCount>(room), for_ever ? nullptr : &timeout);
    if (count >= 0 || errno == EINTR) change_count_ = 0;
    return count;
  }

  void translate(const struct kevent* entries, int count, Batch& batch) noexcept {
    std::size_t size = 0;
    for (int i = 0; i < count; ++i) {
      Ready ready{};
      if (understand(entries[i], ready)) append(ready, batch, size);
    }
    batch.finish(size);
  }

  // What several filters say of a descriptor is one report: events fire in the order in which they
  // were attached, whatever each of them waits for.
  void append(const Ready& ready, Batch& batch, std::size_t& size) noexcept {
    Entry& entry = entries_[static_cast<std::size_t>(ready.fd)];
    Ready* const earlier = batch.ready() + entry.place;
    if (entry.place < size && earlier->fd == ready.fd) {
      earlier->bits |= ready.bits;
      return;
    }
    entry.place = static_cast<std::uint16_t>(size);
    batch.ready()[size++] = ready;
  }

  // Returns false if it is of nothing that anybody wants.
  bool understand(const struct kevent& report, Ready& ready) noexcept {
    const int fd = static_cast<int>(report.ident);
    const Entry* const entry = entries_.find(static_cast<std::size_t>(fd));
    const std::uint32_t generation = from_user_data(report.udata);
    const std::size_t filter = place_of(report.filter);
    const Watching how = entry != nullptr ? entry->knotes.told.by[filter] : Watching::none;
    if (!is_active(how) || entry->knotes.generation != generation) {
      queue(make_change(fd, report.filter, how == Watching::none ? EV_DELETE : EV_DISABLE, 0, 0,
                        report.udata));
      return false;
    }
    const bool ended = (report.flags & EV_EOF) != 0;
    if (how == Watching::end || how == Watching::end_edge) {
      if (!ended) return false;
      if (how == Watching::end) look_again(fd, *entry, filter);
    }
    const Events what =
        from_kqueue(kKqueueConstants, report.filter, report.flags, report.fflags, entry->is_socket);
    ready = {what, fd, generation};
    return any(what);
  }

  // Has the kernel report what it reports once per change again, if it is still so.
  void look_again(int fd, const Entry& entry, std::size_t filter) noexcept {
    queue(entry.knotes.change(fd, filter, EV_DISABLE));
    queue(entry.knotes.change(fd, filter, EV_ENABLE));
  }

  UniqueFd queue_;
  std::uint32_t forks_ = 0;  // as counted when it was made
  bool abandoned_ = false;
  bool is_shown_ = false;  // somebody has asked for fd(): nothing is put off
  AlwaysReady always_;
  PagedArray<Entry> entries_;  // by descriptor
  std::array<struct kevent, kMostQueued + KqueueChanges::kMost> changes_;
  std::size_t change_count_ = 0;  // queued ones
};

}  // namespace

std::unique_ptr<BackendPort> make_kqueue() { return std::make_unique<Kqueue>(); }

}  // namespace event_cpp::detail
