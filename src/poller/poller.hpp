// The interface to a kernel: which descriptors to watch, and a wait that says which are ready.
#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "event/event_mask.hpp"
#include "event/options.hpp"
#include "event/time.hpp"

namespace event_cpp::detail {

// What some kernels can watch beside descriptors, without one for each: see Poller::watch().
enum class Source : std::uint8_t {
  wakeup,   // Poller::wake() was called
  signal,   // a signal was sent to this process, whether or not it is blocked
  process,  // a process has ended
};

// What a backend reports of one descriptor: conditions in the kernel's own numbers, which are given
// their meaning where they are read.
class ReadyEvent {
 public:
  // What a hang-up and an error are to those who ask for it. The kernel reports both in any case.
  static constexpr Events kHangupMeans = Events::read | Events::write | Events::closed;
  static constexpr Events kErrorMeans = Events::read | Events::write | Events::error;

  // Beside the conditions, for the constructor:
  static constexpr Events kHangup{0x4000};
  static constexpr Events kGone{0x8000};  // the descriptor is not open any more

  // The generation of a report that is of no descriptor of a user's but of the backend's own; fd is
  // then zero. See Poller::take_own().
  static constexpr std::uint32_t kOwn = 0xffffffff;

  // The generation of a report of a Source; fd is then zero. Generations of descriptors are lower.
  static constexpr std::uint32_t kSource = 0xfffffffe;

  static ReadyEvent of(Source source, int ident) noexcept {
    ReadyEvent report(Events::none, 0, kSource);
    report.bits =
        static_cast<std::uint32_t>(ident) << kIdentShift | static_cast<std::uint32_t>(source);
    return report;
  }
  bool is_of_source() const noexcept { return generation == kSource; }
  Source source() const noexcept { return static_cast<Source>(bits & ((1U << kIdentShift) - 1)); }
  int ident() const noexcept { return static_cast<int>(bits >> kIdentShift); }

  ReadyEvent() = default;
  constexpr ReadyEvent(Events what, int descriptor, std::uint32_t registration) noexcept
      : bits(to_bits(what)), fd(descriptor), generation(registration) {}

  // The conditions that hold for an event that asks for `asked`, among others: an error is `error`
  // to those who ask for that, and readable and writable to those who do not.
  Events what(Events asked) const noexcept {
    const Events what = kMeaning[fold(bits)];
    if (is_error()) [[unlikely]]
      return what | (any(asked & Events::error) ? Events::error : kErrorMeans & ~Events::error);
    return what;
  }

  bool is_hang_up() const noexcept { return (bits & kHup) != 0; }
  bool is_error() const noexcept { return (bits & kErr) != 0; }
  bool is_gone() const noexcept { return (bits & kNotOpen) != 0; }

  // What holds, as epoll_ctl(2) numbers it, and kNotOpen.
  static constexpr std::uint32_t kIn = 0x1;
  static constexpr std::uint32_t kPri = 0x2;
  static constexpr std::uint32_t kOut = 0x4;
  static constexpr std::uint32_t kErr = 0x8;
  static constexpr std::uint32_t kHup = 0x10;
  static constexpr std::uint32_t kRdHup = 0x2000;
  static constexpr std::uint32_t kNotOpen = 0x8000;

  std::uint32_t bits;
  int fd;
  std::uint32_t generation;  // as given to update(): tells an old registration from a new one

 private:
  static constexpr std::uint32_t kIdentShift = 2;  // leaves more bits than any process id has

  // The high bits come down beside the low ones: so a meaning costs a load and not a row of
  // branches.
  static constexpr std::uint8_t fold(std::uint32_t wide) noexcept {
    return static_cast<std::uint8_t>(wide | wide >> 8);
  }

  static constexpr std::uint32_t to_bits(Events what) noexcept {
    std::uint32_t holds = 0;
    if (any(what & Events::read)) holds |= kIn;
    if (any(what & Events::urgent)) holds |= kPri;
    if (any(what & Events::write)) holds |= kOut;
    if (any(what & Events::closed)) holds |= kRdHup;
    if (any(what & Events::error)) holds |= kErr;
    if (any(what & kHangup)) holds |= kHup;
    if (any(what & kGone)) holds |= kNotOpen;
    return holds;
  }

  static constexpr auto kMeaning = [] {
    std::array<Events, 256> meaning{};
    for (std::uint32_t folded = 0; folded < meaning.size(); ++folded) {
      if ((folded & kIn) != 0) meaning[folded] |= Events::read;
      if ((folded & kPri) != 0) meaning[folded] |= Events::urgent;
      if ((folded & kOut) != 0) meaning[folded] |= Events::write;
      if ((folded & kRdHup >> 8) != 0) meaning[folded] |= Events::closed;
      if ((folded & kHup) != 0) meaning[folded] |= kHangupMeans;
    }
    return meaning;
  }();
};

// What one wait reported, and how far the loop has come with it.
class ReadyBatch {
 public:
  // Errors: throws std::bad_alloc. `kernel_entry` is the size of what the kernel writes per report.
  explicit ReadyBatch(std::size_t kernel_entry);

  // Makes room for `count` reports, at most kLargest. Requires: nothing in it that is still needed.
  // Without memory it stays as it is and returns false.
  bool resize(std::size_t count) noexcept;

  // Starts a new batch.
  void start() noexcept {
    size_ = taken_ = 0;
    expired = false;
  }

  // Ends a new batch: its reports are the first `size` at ready().
  void finish(std::size_t size) noexcept {
    size_ = size;
    expired = expired || full();  // the report of a timer may be among those that did not fit
  }
  void push(const ReadyEvent& report) noexcept { ready_[size_++] = report; }

  std::size_t capacity() const noexcept { return capacity_; }
  std::size_t size() const noexcept { return size_; }
  bool full() const noexcept { return size_ == capacity_; }
  ReadyEvent* ready() noexcept { return ready_.get(); }

  // Room for capacity() of the kernel's own entries.
  std::byte* kernel_entries() noexcept { return kernel_entries_.get(); }

  // Calls f(report) for each report that was not taken yet. If f throws, that one comes again.
  // After a full batch there is room for a larger one.
  template <class F>
  [[gnu::always_inline]] void take(F f) {  // once, and a base does nothing as often
    const ReadyEvent* const begin = ready_.get();
    const ReadyEvent* const end = begin + size_;
    const ReadyEvent* next = begin + taken_;
    try {
      for (; next != end; ++next) f(*next);
    } catch (...) {
      taken_ = static_cast<std::size_t>(next - begin);
      throw;
    }
    taken_ = size_;
    if (full() && capacity_ < kLargest) [[unlikely]]
      resize(2 * capacity_);
  }
  bool taken() const noexcept { return taken_ == size_; }
  void take_all() noexcept { taken_ = size_; }

  // False: no deadline that was given to a wait has passed. True: one may have.
  bool expired = false;

 private:
  static constexpr std::size_t kSmallest = 64;
  static constexpr std::size_t kLargest = 4096;

  const std::size_t kernel_entry_;
  std::size_t capacity_ = 0;
  std::size_t size_ = 0;
  std::size_t taken_ = 0;
  std::unique_ptr<ReadyEvent[]> ready_;
  std::unique_ptr<std::byte[]> kernel_entries_;
};

// Whether a backend of this build watches sources; where none does, nothing is spent on them.
inline constexpr bool kSourcesAreReported = EVENT_HAVE_KQUEUE;

enum class Change : std::uint8_t { add, modify, remove };

// One kernel's way to wait. It translates, holds no policy, and never calls a user.
//
// update() and wait() return 0 or the errno of the system call that failed, and then have changed
// nothing. Everything belongs to the loop's thread.
class Poller {
 public:
  // What can be true of a descriptor.
  static constexpr Events kConditions =
      Events::read | Events::write | Events::closed | Events::urgent | Events::error;

  virtual ~Poller() = default;

  virtual Backend kind() const noexcept = 0;

  // For the loop's ReadyBatch.
  virtual std::size_t kernel_entry() const noexcept = 0;

  // The conditions of a descriptor, and the options, that can be asked for.
  virtual Events supported() const noexcept = 0;

  // Registers a descriptor, changes what is wanted of it, or takes it back. `wanted` is a set of
  // what is supported, and of edge, which everywhere silences a hang-up that stays; none, with add
  // or modify, keeps a registration that reports nothing but a hang-up. Errors: EBADF: not open.
  // ENOENT: modify or remove, and this number is not registered, or now stands for another file
  // than the one that is. EEXIST: add, and it is registered. EINVAL: modify, and it is registered
  // as exclusive, which only removing it ends.
  virtual int update(Change change, int fd, std::uint32_t generation, Events wanted) noexcept = 0;

  // The same as modify, where nobody waits for an error: it may be told late, or never.
  virtual int modify_lazily(int fd, std::uint32_t generation, Events wanted) noexcept {
    return update(Change::modify, fd, generation, wanted);
  }

  // Reports what is ready; if nothing is, and `block`, waits for it until `deadline` has passed on
  // the monotonic clock: never shorter, TimePoint::max() is for ever. A signal may end it early. It
  // throws nothing but the unwinding of a thread that is cancelled, with an empty batch.
  // Requires: batch.taken().
  virtual int wait(TimePoint deadline, bool block, ReadyBatch& batch) = 0;

  // After an error of wait(). Returns EBADF if a descriptor of the backend's own was closed behind
  // its back, as by closefrom(3): then it is left open, as it may be a user's now, and a leak does
  // less harm. Else returns the error.
  virtual int give_up(int error) noexcept { return error; }

  // Begins to watch a source: a signal or a process by its number, the wake-up by zero. Each is
  // reported once when it happens, a process once and for all. Watching it again changes nothing;
  // reinit() ends it. Returns 0 or an errno: ENOTSUP if this kernel cannot watch it, so that a
  // descriptor must do; ESRCH if the process has ended already, or is about to.
  virtual int watch(Source source, int ident) noexcept {
    static_cast<void>(source);
    static_cast<void>(ident);
    return ENOTSUP;
  }
  virtual void unwatch(Source source, int ident) noexcept {
    static_cast<void>(source);
    static_cast<void>(ident);
  }

  // Has the wait that is under way, or the next one, report Source::wakeup, which is watched. Does
  // nothing in the child of a fork until reinit(). Thread-safety: any thread, and any signal
  // handler; keeps errno.
  virtual void wake() const noexcept {}

  // Takes a report of the last wait() with the generation ReadyEvent::kOwn, before the loop asks
  // whether the batch says that a deadline has passed.
  virtual void take_own() noexcept {}

  // Whether a registration that nobody wants is best left alone until it reports something: taking
  // it back costs a system call, and leaving it nothing.
  virtual bool prefers_lazy_removal() const noexcept { return false; }

  // Repairs a kernel set that reports registrations nobody knows of. Between the two calls update()
  // with add tells the new set, all else goes to the old one; `keep` says which of them stays.
  virtual int begin_rebuild() noexcept { return 0; }
  virtual void end_rebuild(bool keep) noexcept { static_cast<void>(keep); }

  // In the child of a fork: lets go of what is shared with the parent. update() then says yes, and
  // does nothing that the parent could notice.
  virtual void detach_after_fork() noexcept {}

  // Then: a kernel side of this process's own, in which everything is to be added anew: EEXIST says
  // that something was kept. Returns 0 or an errno, and then may be called again.
  virtual int reinit() noexcept { return 0; }

  // A descriptor, always the same, that is readable when wait() would report something that
  // has_always_ready() does not tell of; -1: none.
  virtual int fd() noexcept { return -1; }

  // Before somebody waits for fd(): has it show what is, and nothing that only was.
  virtual void refresh_fd() noexcept {}

  // Whether something is always ready, and the kernel need not say so.
  virtual bool has_always_ready() const noexcept { return false; }

  // Makes room to watch so many descriptors. Errors: throws std::bad_alloc.
  virtual void reserve(std::size_t descriptors) { static_cast<void>(descriptors); }

 protected:
  Poller() = default;
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
};

// The backends of this build, best first.
std::vector<Backend> compiled_pollers();

// The backend itself. Errors: throws std::system_error: Errc::unsupported if it is not in this
// build, else what the system says.
std::unique_ptr<Poller> make_poller(Backend kind);

// The one that `wanted` and the environment ask for; for automatic the best that works here.
// Errors: as make_poller(); invalid_argument for an unknown name in EVENT_BACKEND.
std::unique_ptr<Poller> choose_poller(Backend wanted);

}  // namespace event_cpp::detail
