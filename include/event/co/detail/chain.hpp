// What runs tasks: chains of tasks, the operations they wait for, and the scheduler of a base.
#pragma once

#include <cassert>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "event/base.hpp"
#include "event/detail/floors.hpp"

namespace event_cpp::co {

class TaskGroup;

// What a task waits for: the argument of for_each_wait().
struct Waiting {
  const char* what = "";           // the operation
  unsigned line = 0;               // where it was called; 0: unknown
  int fd = -1;                     // the fd, signal number or process ID; -1: none
  const void* function = nullptr;  // the code of the coroutine that waits
};

namespace detail {

class Chain;
class Scheduler;

// A place in a list of chains. A chain is in one list at most: that of what is ready to run, or
// that of those who wait for the same thing.
class Link {
 public:
  Link() noexcept : previous_(this), next_(this) {}
  ~Link() { unlink(); }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  bool linked() const noexcept { return next_ != this; }
  void unlink() noexcept {
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = this;
  }
  // Of the head of a list: appends, and moves all of another list to the front.
  void push_back(Link& link) noexcept {
    link.previous_ = previous_;
    link.next_ = this;
    previous_->next_ = &link;
    previous_ = &link;
  }
  void take_all(Link& from) noexcept {
    if (!from.linked()) return;
    from.next_->previous_ = this;
    from.previous_->next_ = next_;
    next_->previous_ = from.previous_;
    next_ = from.next_;
    from.previous_ = from.next_ = &from;
  }
  Link* next() const noexcept { return next_; }

 private:
  Link* previous_;
  Link* next_;
};

// Called by a stream when it is ready. Aligned so that the low bits of its address are free.
class alignas(16) [[gnu::visibility("default")]] Waiter {
 public:
  // Called when trying may succeed. May destroy the stream and this. An exception leaves
  // dispatch(). Not inline: else g++ compares the target of each call with this one.
  virtual void ready();
  // Called when the stream is closed or destroyed. There are no more calls.
  virtual void dropped() noexcept {}

 protected:
  ~Waiter() = default;
};

// Waits on behalf of a chain. It is part of the innermost frame, or owned by it.
class EVENT_API Operation : public Waiter {
 public:
  // Withdraws the operation. The wait fails with std::errc::operation_canceled in the next
  // iteration.
  virtual void cancel() noexcept = 0;

  virtual Waiting waiting() const noexcept = 0;

  // Calls visit(context, chain) for each chain that this operation waits for.
  virtual void for_each_branch(void (*visit)(void* context, const Chain& chain),
                               void* context) const {
    static_cast<void>(visit);
    static_cast<void>(context);
  }

 protected:
  ~Operation() = default;
};

// Who started a chain, and goes on when it has ended.
class EVENT_API Owner {
 public:
  // The first task of the chain has ended. Returns the frame that runs next, or null.
  virtual void* ended(Chain& chain) noexcept = 0;

  // In the turn that was asked for by Turn::report. Returns what is to leave dispatch(), or null.
  virtual std::exception_ptr report(Chain& chain) noexcept;

 protected:
  ~Owner() = default;
};

// What is done with a chain that is in the list of what is ready.
enum class Turn : std::uint8_t {
  resume,  // its innermost task goes on
  report,  // its first task failed: the owner is told
  depart,  // it goes on on another base
};

// A task that was started by itself, and the tasks that it awaits, one inside the other. The
// innermost one runs or waits. Everything about it belongs to the thread of its scheduler.
class Chain : public Link {
 public:
  // So many operations may complete at once before others get their turn.
  static constexpr std::uint8_t kBudget = 8;

  Chain(Owner& its_owner, Scheduler& runs_on) noexcept : owner(&its_owner), scheduler(&runs_on) {}

  // Cancels what it waits for, now or later. Does nothing if it was cancelled before.
  void cancel() noexcept;
  // The same in the thread of its scheduler.
  void cancel_here() noexcept {
    if (cancelled) return;
    cancelled = true;
    if (pending != nullptr) pending->cancel();
  }

  // An operation can complete without a wait. Returns false if others are to run first.
  bool spend() noexcept {
    if (budget == 0) return false;
    --budget;
    return true;
  }

  // Whether a task of it runs at this moment. Requires: it was started, and has not ended.
  bool running() const noexcept { return pending == nullptr && !linked(); }

  Owner* owner;
  Scheduler* scheduler;
  Operation* pending = nullptr;  // what the innermost task waits for; null: it runs, or is ready to
  void* innermost = nullptr;     // the frame to resume
  bool cancelled = false;
  // It is on a base that is not its owner's: only this and `owner`, which is an Away, may be looked
  // at in the owner's thread.
  bool away = false;
  Turn turn = Turn::resume;
  std::uint8_t budget = kBudget;  // what it starts at once shares it
};

class Away;
class BlockingPool;
struct SignalWatch;

// Runs the chains of a base. One per base, made when it is first needed, destroyed with it.
class EVENT_API Scheduler {
 public:
  // Errors: throws std::bad_alloc.
  static Scheduler& of(Base& base) {
    auto* const scheduler =
        event_cpp::detail::floors_of(base).get<Scheduler>(event_cpp::detail::Floor::co);
    return scheduler != nullptr ? *scheduler : make(base);
  }

  explicit Scheduler(Base& base);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  Base& base() const noexcept { return base_; }

  // The chain has its turn in the next iteration.
  void queue(Chain& chain, Turn turn = Turn::resume) noexcept {
    assert(!chain.linked());
    chain.turn = turn;
    if (!ready_.linked()) kick_.wake();
    ready_.push_back(chain);
  }

  // Runs the chain until it waits again, and what goes on when it has ended. Requires: called from
  // a callback of the base, not from a task.
  void resume(Chain& chain) noexcept {
    chain.budget = Chain::kBudget;
    go_on(chain.innermost);
  }

  // The task that runs has ended; `next` is the frame that awaits it, or end_of() its chain.
  void ended(std::uintptr_t next) noexcept { ended_ = next; }
  static std::uintptr_t end_of(Chain& chain) noexcept {
    return reinterpret_cast<std::uintptr_t>(&chain) | 1;
  }

  // Keeps the base from leaving dispatch(): something outside of it will wake a task.
  // Errors: hold() throws std::system_error, ENOMEM, or std::bad_alloc.
  void hold();
  void let_go() noexcept;

  // Takes over the chain of a Child that failed and whose group goes: Child::error leaves
  // dispatch().
  void adopt(Chain& chain) noexcept;

  // Each is made when it is first asked for. Errors: throws std::bad_alloc; std::system_error if
  // the signal cannot be watched.
  BlockingPool& pool();
  SignalWatch& watch_signal(int signo);

  Link& groups() noexcept { return groups_; }

 private:
  friend class Away;

  // Calls drain() in the next iteration.
  class Kick : public Event {
   public:
    Kick(Base& base, Scheduler& scheduler) noexcept
        : Event(base, -1, Events::none, Calls<&Kick::run>()) {
      ::new (room()) Scheduler*(&scheduler);
    }
    void wake() noexcept { activate(Events::timeout); }

   private:
    static void run(Event& event, Events fired);
  };

  static Scheduler& make(Base& base);

  // Resumes a frame, then the one that awaits it if it has ended, and so on outwards. A loop: each
  // frame returns here before the next one runs, so no depth of tasks needs more stack. Requires:
  // not null.
  void go_on(void* frame) noexcept {
    do {
      std::coroutine_handle<>::from_address(frame).resume();
      if (ended_ == 0) return;  // it waits
      const std::uintptr_t next = std::exchange(ended_, 0);
      if ((next & 1) == 0) {
        frame = reinterpret_cast<void*>(next);
      } else {
        Chain& chain = *reinterpret_cast<Chain*>(next - 1);
        frame = chain.owner->ended(chain);
      }
    } while (frame != nullptr);
  }

  void drain();
  Chain& pick_ready();

  Base& base_;
  Order* const order_;  // null: first in, first out
  std::uintptr_t ended_ = 0;
  Link ready_;
  Link running_;  // what drain() has still to run
  Kick kick_;
  Link groups_;
  std::size_t holds_ = 0;
  std::unique_ptr<Event> keeper_;
  std::unique_ptr<BlockingPool> pool_;
  std::vector<std::unique_ptr<SignalWatch>> signals_;
  std::size_t guests_ = 0;  // chains that are here and whose owner is on another base
};

// For a chain that is on another base.
EVENT_API void cancel_away(Chain& chain) noexcept;

inline void Chain::cancel() noexcept {
  if (away) [[unlikely]]
    return cancel_away(*this);
  cancel_here();
}

// What a wait that was cancelled throws. One object for all, so that most cancellations are
// recognized without throwing them again. Made with the first scheduler.
// Errors: throws std::bad_alloc until then.
EVENT_API const std::exception_ptr& cancellation();
// Always inline: each frame between a throw and its handler is unwound twice.
[[noreturn, gnu::always_inline]] inline void throw_cancelled() {
  std::rethrow_exception(cancellation());
}
// Whether it is std::errc::operation_canceled, whoever threw it.
EVENT_API bool is_cancellation(const std::exception_ptr& error) noexcept;

// What an awaiter that may wait is made of.
class EVENT_API Wait : public Operation {
 public:
  // Before it is awaited it may be moved, so that it can be given to with_timeout() and others.
  Wait(Wait&& other) noexcept : line_(other.line_) { assert(other.chain_ == nullptr); }
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  bool await_ready() const noexcept { return false; }
  void cancel() noexcept override {
    cancelled_ = true;
    withdraw();
    wake();
  }

  // The wait is over. Returns the frame that is to be resumed now.
  void* finish() noexcept {
    chain_->pending = nullptr;
    return chain_->innermost;
  }

 protected:
  explicit Wait(unsigned line) noexcept : line_(line) {}
  // Destroyed while it waits, with its task: leaves the list of those who wait, so that what is
  // destroyed after it in the same task finds only others there.
  ~Wait() {
    if (!waits()) return;
    chain_->pending = nullptr;
    chain_->unlink();
  }

  // From now on the chain waits for this.
  void begin(Chain& chain, void* frame) noexcept {
    chain_ = &chain;
    chain.pending = this;
    chain.innermost = frame;
  }
  // Instead of begin() for a chain that was cancelled: fails in the next iteration.
  void begin_cancelled(Chain& chain, void* frame) noexcept {
    cancelled_ = true;
    begin_done(chain, frame);
  }
  // The same for what has succeeded: goes on in the next iteration. There is nothing to withdraw,
  // so the chain has no pending operation.
  void begin_done(Chain& chain, void* frame) noexcept {
    chain_ = &chain;
    chain.innermost = frame;
    chain.scheduler->queue(chain);
  }
  bool waits() const noexcept { return chain_ != nullptr && chain_->pending == this; }

  // The wait is over: the task goes on in the next iteration; or now, in a callback of the base.
  void wake() noexcept {
    chain_->pending = nullptr;
    chain_->unlink();
    chain_->scheduler->queue(*chain_);
  }
  void resume() noexcept {
    chain_->pending = nullptr;
    chain_->scheduler->resume(*chain_);
  }
  void throw_if_cancelled() const {
    if (cancelled_) [[unlikely]]
      throw_cancelled();
  }
  Waiting describe(const char* what, int fd = -1) const noexcept {
    return {what, line_, fd,
            chain_ != nullptr ? *static_cast<const void* const*>(chain_->innermost) : nullptr};
  }
  Chain* chain() const noexcept { return chain_; }
  bool cancelled() const noexcept { return cancelled_; }

 private:
  // Nothing of the operation happens any more.
  virtual void withdraw() noexcept = 0;

  Chain* chain_ = nullptr;  // null: not begun
  unsigned line_;
  bool cancelled_ = false;
};

static_assert(sizeof(void*) != 8 || sizeof(Wait) == 32,
              "24 bytes, and 8 for a derived class to use");

}  // namespace detail
}  // namespace event_cpp::co
