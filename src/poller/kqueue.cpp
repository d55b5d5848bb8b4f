// kqueue(2), of the BSDs and macOS.
#include <fcntl.h>
#include <sys/event.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>

#include "base/paged_array.hpp"
#include "poller/kernel_queue.hpp"
#include "poller/kqueue_calls.hpp"
#include "poller/kqueue_changes.hpp"
#include "poller/kqueue_map.hpp"
#include "poller/kqueue_sources.hpp"
#include "poller/make_pollers.hpp"
#include "sys/open_for_use.hpp"

namespace event_cpp::detail {
namespace {

// The types of files that are always ready everywhere, though some kernels can wait for them.
bool is_always_ready(mode_t mode) noexcept {
  return S_ISREG(mode) || S_ISDIR(mode) || S_ISBLK(mode);
}

// Says that a filter is not for this kind of file; poll(2) then calls it ready.
constexpr bool means_unsupported(int error) noexcept {
  return error == EINVAL || error == ENODEV || error == EOPNOTSUPP || error == ENOTSUP ||
         error == EPERM;
}

EndMeans end_means(int fd, mode_t mode) noexcept {
  if (S_ISSOCK(mode)) return EndMeans::direction;
  if (!S_ISFIFO(mode)) return EndMeans::hang_up;
  switch (::fcntl(fd, F_GETFL) & O_ACCMODE) {
    case O_RDONLY:
      return EndMeans::hang_up;
    case O_WRONLY:
      return EndMeans::error;
    default:
      return EndMeans::either;
  }
}

// A knote, which is one filter on one descriptor, goes when its number is closed, whatever
// duplicates there are: so none is left behind, and that a knote is gone tells that the number
// stands for another file. That is why one that nobody needs is switched off and kept.
class Kqueue final : public Poller {
 public:
  Kqueue()
      : Poller({.kind = Backend::kqueue,
                .supported = Events::read | Events::write | Events::closed | Events::error |
                             Events::edge |
                             (kKqueueConstants.has_except ? Events::urgent : Events::none),
                .kernel_entry = sizeof(struct kevent)}) {}

  int add(int fd, std::uint32_t generation, Events interest) noexcept override {
    return detached_ ? 0 : add_now(fd, generation, interest);
  }

  int modify(int fd, std::uint32_t generation, Events interest, bool may_defer) noexcept override {
    if (detached_) return 0;
    Entry* const entry = find_registered(fd);
    if (entry == nullptr) return error_of_unknown(fd);
    const KqueueWatch watch = to_kqueue(interest, entry->knotes.told);
    if (may_defer && !is_shown_ && only_switches_off(entry->knotes.told, watch)) {
      switch_off(fd, *entry, watch);
      return 0;
    }
    entry->knotes.generation = generation;
    return change_now(fd, *entry, watch);
  }

  // The fd is likely to be closed next, which does the same.
  int remove(int fd) noexcept override {
    if (detached_) return 0;
    Entry* const entry = find_registered(fd);
    if (entry == nullptr) return error_of_unknown(fd);
    for (std::size_t filter = 0; filter < KqueueWatch::kFilters; ++filter) {
      if (entry->knotes.told.by[filter] == Watching::none) continue;
      calls_.queue(entry->knotes.change(fd, filter, EV_DELETE));
    }
    entry->knotes.told = {};
    entry->is_registered = false;
    if (is_shown_) calls_.flush();
    return 0;
  }

  int wait(TimePoint deadline, bool block, ReadyBatch& batch) override {
    batch.start();
    batch.expired = deadline != TimePoint::max();
    block = block && !sources_.holds_any();
    if (sources_.holds_any()) sources_.report_held(batch);
    auto* const entries = reinterpret_cast<struct kevent*>(batch.kernel_entries());
    const std::size_t room = batch.capacity() - batch.size();
    const int count = calls_.take(deadline, block, entries, room);
    if (count < 0) return errno == EINTR ? 0 : errno;
    translate(entries, count, batch);
    return 0;
  }

  void abandon_fds() noexcept override { calls_.give_up(); }

  int watch(Source source, int ident) noexcept override { return sources_.watch(source, ident); }

  void unwatch(Source source, int ident) noexcept override {
    if (detached_) return;
    sources_.unwatch(source, ident);
    calls_.flush();
  }

  void wake() const noexcept override { sources_.wake(); }

  void detach_after_fork() noexcept override { detached_ = true; }

  int reinit() noexcept override {
    entries_.for_each([](std::size_t, Entry& entry) { entry = Entry{}; });
    sources_.clear();
    if (const int error = calls_.reopen(); error != 0) return error;
    detached_ = false;
    return 0;
  }

  int fd() noexcept override {
    is_shown_ = true;
    calls_.flush();
    return calls_.fd();
  }

  // The kernel looks again at what was ready only when it is asked, and calls the queue readable
  // until then. What it gives but once it is to give again.
  bool refresh_fd() noexcept override {
    if (!is_shown_) return false;
    std::array<struct kevent, 64> found;
    const int count = calls_.take(TimePoint::max(), false, found.data(), found.size());
    for (int i = 0; i < count; ++i) {
      const struct kevent& report = found[static_cast<std::size_t>(i)];
      if (place_of(report.filter) == KqueueWatch::kFilters) {
        sources_.hold(report);
        continue;
      }
      ReadyEvent ready{};
      if (!understand(report, ready)) continue;
      const Entry& entry = entries_[static_cast<std::size_t>(ready.fd)];
      const std::size_t filter = place_of(report.filter);
      if (reports_changes(entry.knotes.told.by[filter])) look_again(ready.fd, entry, filter);
    }
    calls_.flush();
    return sources_.holds_any();
  }

  void reserve(std::size_t count) override {
    entries_.reserve(count + PagedArray<Entry>::kPageSize);
  }

 private:
  struct Entry {
    Knotes knotes;
    bool is_registered = false;
    EndMeans end = EndMeans::hang_up;
    std::uint16_t place = 0;  // of its report in the batch, if any
  };
  static_assert(sizeof(Entry) == 12);

  // --- Registrations ---

  Entry* find_registered(int fd) noexcept {
    Entry* const entry = entries_.find(static_cast<std::size_t>(fd));
    return entry != nullptr && entry->is_registered ? entry : nullptr;
  }

  static int error_of_unknown(int fd) noexcept {
    struct stat status {};
    return ::fstat(fd, &status) != 0 ? errno : ENOENT;
  }

  int add_now(int fd, std::uint32_t generation, Events interest) noexcept {
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
    if (is_always_ready(status.st_mode)) return is_open_for_use(fd) ? EPERM : EBADF;
    entry->knotes.generation = generation;
    entry->end = end_means(fd, status.st_mode);
    const int error = change_now(fd, *entry, to_kqueue(interest, entry->knotes.told));
    entry->is_registered = error == 0;
    return S_ISCHR(status.st_mode) && means_unsupported(error) ? EPERM : error;
  }

  void switch_off(int fd, Entry& entry, const KqueueWatch& to) noexcept {
    for (std::size_t filter = 0; filter < KqueueWatch::kFilters; ++filter) {
      if (entry.knotes.told.by[filter] == to.by[filter]) continue;
      calls_.queue(entry.knotes.change(fd, filter, EV_DISABLE));
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
    if (const int error = calls_.submit(changes, outcome); error != 0) return error;
    entry.knotes.told = outcome.now;
    if (outcome.other_file || outcome.error != 0) {
      undo(fd, entry, outcome.other_file ? KqueueWatch{} : before);
      return outcome.error == EBADF || !outcome.other_file ? outcome.error : ENOENT;
    }
    return outcome.no_reader ? watch_broken_pipe(fd, entry, to, before) : 0;
  }

  // That nobody reads shows on the read filter just as well.
  int watch_broken_pipe(int fd, Entry& entry, KqueueWatch to, const KqueueWatch& before) noexcept {
    to.by[KqueueWatch::kRead] = to.by[KqueueWatch::kWrite];
    to.by[KqueueWatch::kWrite] = Watching::none;
    if (entry.end == EndMeans::either) entry.end = EndMeans::error;
    const bool was_registered = std::exchange(entry.is_registered, false);
    const int error = change_now(fd, entry, to);
    entry.is_registered = was_registered;
    if (error != 0) undo(fd, entry, before);
    return error;
  }

  void undo(int fd, Entry& entry, const KqueueWatch& before) noexcept {
    KqueueOutcome outcome{.now = entry.knotes.told};
    const auto changes = KqueueChanges::undoing(fd, entry.knotes, before);
    if (changes.size() != 0) static_cast<void>(calls_.submit(changes, outcome));
    entry.knotes.told = outcome.now;
  }

  // --- wait() ---

  void translate(const struct kevent* entries, int count, ReadyBatch& batch) noexcept {
    std::size_t size = batch.size();
    for (int i = 0; i < count; ++i) {
      ReadyEvent ready{};
      if (place_of(entries[i].filter) == KqueueWatch::kFilters) {
        if (sources_.understand(entries[i], ready)) batch.ready()[size++] = ready;
      } else if (understand(entries[i], ready)) {
        append(ready, batch, size);
      }
    }
    batch.finish(size);
  }

  // What several filters say of a descriptor is one report: events fire in the order in which they
  // were attached, whatever each of them waits for.
  void append(const ReadyEvent& ready, ReadyBatch& batch, std::size_t& size) noexcept {
    Entry& entry = entries_[static_cast<std::size_t>(ready.fd)];
    ReadyEvent* const earlier = batch.ready() + entry.place;
    if (entry.place < size && earlier->fd == ready.fd && !earlier->is_of_source()) {
      earlier->bits |= ready.bits;
      return;
    }
    entry.place = static_cast<std::uint16_t>(size);
    batch.ready()[size++] = ready;
  }

  // Returns false if it is of nothing that anybody wants.
  bool understand(const struct kevent& report, ReadyEvent& ready) noexcept {
    const int fd = static_cast<int>(report.ident);
    const Entry* const entry = entries_.find(static_cast<std::size_t>(fd));
    const std::uint32_t generation = from_user_data(report.udata);
    const std::size_t filter = place_of(report.filter);
    const Watching how = entry != nullptr ? entry->knotes.told.by[filter] : Watching::none;
    if (!is_active(how) || entry->knotes.generation != generation) {
      calls_.queue(make_change(fd, report.filter, how == Watching::none ? EV_DELETE : EV_DISABLE, 0,
                               0, report.udata));
      return false;
    }
    const Events what =
        from_kqueue(kKqueueConstants, report.filter, report.flags, report.fflags, entry->end);
    if (reports_end_alone(how)) {
      const bool is_error = any(what & Events::error);
      if (how == Watching::error ? !is_error : (report.flags & EV_EOF) == 0) return false;
      if (!reports_changes(how)) look_again(fd, *entry, filter);
    }
    ready = {what, fd, generation};
    return any(what);
  }

  // Has the kernel report what it reports once per change again, if it is still so.
  void look_again(int fd, const Entry& entry, std::size_t filter) noexcept {
    calls_.queue(entry.knotes.change(fd, filter, EV_DISABLE));
    calls_.queue(entry.knotes.change(fd, filter, EV_ENABLE));
  }

  KqueueCalls calls_;
  KqueueSources sources_{calls_};
  bool detached_ = false;
  bool is_shown_ = false;      // fd() was called: nothing is deferred
  PagedArray<Entry> entries_;  // by descriptor
};

}  // namespace

std::unique_ptr<Poller> make_kqueue() { return std::make_unique<Kqueue>(); }

}  // namespace event_cpp::detail
