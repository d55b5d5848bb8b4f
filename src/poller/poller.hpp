// The interface to a kernel: which fds to watch, and a wait that reports which are ready.
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

// What some kernels can watch without an fd: see Poller::watch().
enum class Source : std::uint8_t {
  wakeup,   // Poller::wake() was called
  signal,   // a signal was sent to this process, whether or not it is blocked
  process,  // a process has ended
};

// What a poller reports of one fd. The bits are numbered as epoll_ctl(2) numbers them, because
// epoll_wait(2) writes these objects in place; they are translated once, by what().
class ReadyEvent {
 public:
  // What a hang-up and an error are to those who ask for it. The kernel reports both in any case.
  static constexpr Events kHangupMeans = Events::read | Events::write | Events::closed;
  static constexpr Events kErrorMeans = Events::read | Events::write | Events::error;

  // Beside the conditions, for the constructor:
  static constexpr Events kHangup{0x4000};
  static constexpr Events kGone{0x8000};  // the fd is closed, or stands for another file

  // The generation of a report that says that a deadline has passed, where a kernel reports that as
  // it reports an fd; fd is then zero. The loop sets ReadyBatch::expired when it takes it.
  static constexpr std::uint32_t kDeadline = 0xffffffff;

  // The generation of a report of a Source; fd is then zero. Generations of fds are lower.
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
  constexpr ReadyEvent(Events what, int reported, std::uint32_t registration) noexcept
      : bits(to_bits(what)), fd(reported), generation(registration) {}

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

  // The bits: epoll's, and kNotOpen.
  static constexpr std::uint32_t kIn = 0x1;
  static constexpr std::uint32_t kPri = 0x2;
  static constexpr std::uint32_t kOut = 0x4;
  static constexpr std::uint32_t kErr = 0x8;
  static constexpr std::uint32_t kHup = 0x10;
  static constexpr std::uint32_t kRdHup = 0x2000;
  static constexpr std::uint32_t kNotOpen = 0x8000;

  std::uint32_t bits;
  int fd;
  std::uint32_t
      generation;  // as given to add() or modify(): tells an old registration from a new one

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

  // Goes over the reports that were not taken yet, from the first one on. Those before the one that
  // it stands at when it is destroyed are taken: if what is done with one throws, that one comes
  // again. After a full batch there is room for a larger one.
  class Taking {
   public:
    explicit Taking(ReadyBatch& batch) noexcept
        : batch_(batch),
          next_(batch.ready_.get() + batch.taken_),
          end_(batch.ready_.get() + batch.size_) {}
    ~Taking() {
      if (!at_end()) [[unlikely]] {
        batch_.taken_ = batch_.size_ - static_cast<std::size_t>(end_ - next_);
        return;
      }
      batch_.take_all();
      if (batch_.full() && batch_.capacity_ < kLargest) [[unlikely]]
        batch_.resize(2 * batch_.capacity_);
    }
    Taking(const Taking&) = delete;
    Taking& operator=(const Taking&) = delete;

    bool at_end() const noexcept { return next_ == end_; }
    const ReadyEvent& operator*() const noexcept { return *next_; }
    void operator++() noexcept { ++next_; }

   private:
    ReadyBatch& batch_;
    const ReadyEvent* next_;
    const ReadyEvent* const end_;
  };
  bool taken() const noexcept { return taken_ == size_; }
  void take_all() noexcept { taken_ = size_; }

  // False: no deadline that was given to a wait has passed. True: one may have. Set by wait(), and
  // by the loop when it takes a report of a deadline; still there when the next wait begins.
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

// Whether a poller of this build watches sources; where none does, nothing is spent on them.
inline constexpr bool kSourcesAreReported = EVENT_HAVE_KQUEUE;

// What is constant of a poller.
struct PollerTraits {
  Backend kind;

  // The conditions of an fd, and the options, that can be asked for.
  Events supported;

  // The size of what the kernel writes per report, if it writes to ReadyBatch::kernel_entries().
  std::size_t kernel_entry = 0;

  // Whether a registration that nobody is interested in is best left alone until it reports
  // something: removing it costs a system call, and leaving it nothing.
  bool prefers_lazy_removal = false;

  // Whether a file is still reported under an fd that was closed, while it is open under another.
  bool reports_closed = false;
};

// One kernel's way to wait. A poller translates; it holds no policy, and never calls a user.
//
// A poller must implement the functions that are pure. The others are for what some kernels can do.
// Functions that return int return 0 or the errno of the system call that failed, and then have
// changed nothing. Everything belongs to the loop's thread.
class Poller {
 public:
  // What can be true of an fd.
  static constexpr Events kConditions =
      Events::read | Events::write | Events::closed | Events::urgent | Events::error;

  virtual ~Poller() = default;

  const PollerTraits& traits() const noexcept { return traits_; }

  // --- Registrations ---
  //
  // `generation` is returned with each report. `interest` is a set of what is supported, and of
  // edge, which every poller takes: it at least silences a hang-up that stays. If it is empty, the
  // registration reports nothing but a hang-up or an error.
  //
  // Errors: EBADF: the fd is not open. ENOENT from modify() and remove(): it is not registered, or
  // stands for another file now. EEXIST from add(): it is registered. EINVAL from modify(): it is
  // registered as exclusive, which only remove() ends. EPERM: the kernel cannot wait for this file,
  // which is always ready; the loop reports it itself (PollerAndFiles).

  virtual int add(int fd, std::uint32_t generation, Events interest) noexcept = 0;

  // `may_defer`: nobody waits for an error, so the change may be made by the next wait().
  virtual int modify(int fd, std::uint32_t generation, Events interest,
                     bool may_defer) noexcept = 0;

  virtual int remove(int fd) noexcept = 0;

  // Makes room for so many registrations. Errors: throws std::bad_alloc.
  virtual void reserve(std::size_t count) { static_cast<void>(count); }

  // --- Waiting ---

  // Fills the batch with what is ready. If nothing is, and `block`, waits until `deadline` has
  // passed on the monotonic clock: never shorter; TimePoint::max() is for ever. A signal may end it
  // early. Sets batch.expired if the deadline may have passed. Throws nothing but the unwinding of
  // a thread that is cancelled, with an empty batch. Returns EBADF if an fd of its own was closed
  // behind its back, as by closefrom(3). Requires: batch.taken().
  virtual int wait(TimePoint deadline, bool block, ReadyBatch& batch) = 0;

  // An fd, always the same, that is readable when wait() would report something; -1: none. The loop
  // is then run inside another one.
  virtual int fd() noexcept { return -1; }

  // Called before somebody waits for fd(): makes it show what is ready now, and nothing that only
  // was. Returns whether wait() would report something that fd() does not show.
  virtual bool refresh_fd() noexcept { return false; }

  // An fd of the loop's own was closed behind its back, and so perhaps the poller's: leaves these
  // open from now on. They may be a user's now, and a leak does less harm.
  virtual void abandon_fds() noexcept {}

  // --- Sources: what kernels with kqueue(2) watch without an fd ---

  // Begins to watch a signal or a process by its number, or the wake-up by zero. Each is reported
  // once when it happens, a process once and for all. Watching it again changes nothing; reinit()
  // ends it. Errors: ENOTSUP: this kernel cannot watch it, so an fd must do. ESRCH: the process has
  // ended, or is about to.
  virtual int watch(Source source, int ident) noexcept {
    static_cast<void>(source);
    static_cast<void>(ident);
    return ENOTSUP;
  }
  virtual void unwatch(Source source, int ident) noexcept {
    static_cast<void>(source);
    static_cast<void>(ident);
  }

  // Makes the wait that is under way, or the next one, report Source::wakeup, which is watched.
  // Does nothing in the child of a fork until reinit(). Thread-safety: any thread, and any signal
  // handler; keeps errno.
  virtual void wake() const noexcept {}

  // --- Repair: where a kernel may report registrations that cannot be named any more ---

  // Between the two calls add() goes to a new kernel set, everything else to the old one. `keep`:
  // the new one stays, else the old one.
  virtual int begin_rebuild() noexcept { return 0; }
  virtual void end_rebuild(bool keep) noexcept { static_cast<void>(keep); }

  // --- In the child of a fork ---

  // Lets go of what is shared with the parent. Changes of registrations then succeed without an
  // effect that the parent could notice.
  virtual void detach_after_fork() noexcept {}

  // Then makes a kernel side of this process's own. The loop adds everything anew; EEXIST says that
  // something was kept. After an error it may be called again.
  virtual int reinit() noexcept { return 0; }

 protected:
  explicit Poller(const PollerTraits& traits) noexcept : traits_(traits) {}
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  PollerTraits traits_;
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
