// Chain, Operation and Scheduler: how tasks run and wait.
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

// A node of a doubly linked list of chains. A chain is in at most one list: that of chains that are
// ready to run, or a list of chains that wait for the same thing.
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
  // For the head of a list: append a node; move all nodes of another list to the front.
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

// What a chain waits for. It is part of the innermost frame, or owned by it.
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

// Starts a chain, and is notified when it has ended.
class EVENT_API Owner {
 public:
  // The first task of the chain has ended. Returns the frame that runs next, or null.
  virtual void* ended(Chain& chain) noexcept = 0;

  // Called for a chain that was queued with Turn::report. Returns the exception that leaves
  // dispatch(), or null.
  virtual std::exception_ptr report(Chain& chain) noexcept;

 protected:
  ~Owner() = default;
};

// What happens to a chain in the ready list when its turn comes.
enum class Turn : std::uint8_t {
  resume,  // its innermost task is resumed
  report,  // its first task has failed: Owner::report() is called
  depart,  // it moves to another base
};

// A stack of tasks: one that an Owner has started, the task that it awaits, and so on. The
// innermost one runs or waits. Thread-safety: belongs to the thread of its scheduler.
class Chain : public Link {
 public:
  // What a chain may spend before other chains run. An operation that only copies in memory costs
  // 1, and any other that completes without waiting an eighth of all.
  static constexpr std::uint16_t kBudget = 256;

  Chain(Owner& its_owner, Scheduler& runs_on) noexcept : owner(&its_owner), scheduler(&runs_on) {}

  // Cancels the current wait and all later ones. Does nothing if it was cancelled before.
  void cancel() noexcept;
  // The same in the thread of its scheduler.
  void cancel_here() noexcept {
    if (cancelled) return;
    cancelled = true;
    if (pending != nullptr) pending->cancel();
  }

  // Called for an operation that can complete without a wait. Returns false if the budget is used
  // up: then it must resume in the next iteration.
  bool spend() noexcept { return spend(kBudget / 8); }
  // The same for one that only copies in memory.
  bool spend_little() noexcept { return spend(1); }

  // Whether one of its tasks is running now. Requires: it was started, and has not ended.
  bool running() const noexcept { return pending == nullptr && !linked(); }

  Owner* owner;
  Scheduler* scheduler;
  Operation* pending = nullptr;  // what the innermost task waits for; null: it runs, or is ready to
  void* innermost = nullptr;     // the frame to resume
  // Thrown by the task that has just ended. The one that awaits it throws it again; that of the
  // first task is left for the owner.
  std::exception_ptr error;
  bool cancelled = false;
  // True on a base that is not its owner's. Then the owner's thread may read only this member and
  // `owner`, which is an Away.
  bool away = false;
  Turn turn = Turn::resume;
  std::uint16_t budget = kBudget;  // shared with chains that it starts and that run at once

 private:
  bool spend(std::uint16_t cost) noexcept {
    if (budget < cost) return false;
    budget = static_cast<std::uint16_t>(budget - cost);
    return true;
  }
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

  // Queues the chain for the next iteration.
  void queue(Chain& chain, Turn turn = Turn::resume) noexcept {
    assert(!chain.linked());
    chain.turn = turn;
    if (!ready_.linked()) kick_.wake();
    ready_.push_back(chain);
  }

  // Runs the chain until it waits again; if it ends, also the frame that its owner returns.
  // Requires: called from a callback of the base, not from a task.
  void resume(Chain& chain) noexcept {
    chain.budget = Chain::kBudget;
    go_on(chain.innermost);
  }

  // Called when the running task has ended. `next` is the frame that awaits it, or end_of() its
  // chain.
  void ended(std::uintptr_t next) noexcept { ended_ = next; }
  static std::uintptr_t end_of(Chain& chain) noexcept {
    return reinterpret_cast<std::uintptr_t>(&chain) | 1;
  }

  // hold() keeps dispatch() running, since another thread will wake a task.
  // Errors: hold() throws std::system_error, ENOMEM, or std::bad_alloc.
  void hold();
  void let_go() noexcept;

  // Takes over the chain of a failed Child whose group is being destroyed: its exception will leave
  // dispatch().
  void adopt(Chain& chain) noexcept;

  // Made at the first call. Errors: throw std::bad_alloc; std::system_error if the signal cannot be
  // watched.
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

  // Resumes a frame. If it ends, resumes the frame that awaits it, and so on outwards. This is a
  // loop and not a recursion, so the stack does not grow with the depth of tasks. Requires: not
  // null.
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
  void drop_pool() noexcept;

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
// Its owner, or the base on which it is, is being destroyed: says so, and ends the program. See
// resume_on().
[[noreturn]] EVENT_API void terminate_away() noexcept;

inline void Chain::cancel() noexcept {
  if (away) [[unlikely]]
    return cancel_away(*this);
  cancel_here();
}

// The exception of a cancelled wait. One object for all, so that most cancellations are recognized
// without rethrowing them. Made with the first scheduler.
// Errors: throws std::bad_alloc until then.
EVENT_API const std::exception_ptr& cancellation();
// Always inline, to save a stack frame: each frame between throw and handler is unwound twice.
[[noreturn, gnu::always_inline]] inline void throw_cancelled() {
  std::rethrow_exception(cancellation());
}
// See co::is_cancellation().
EVENT_API bool is_cancellation(const std::exception_ptr& error) noexcept;

// The base class of awaiters.
class EVENT_API Wait : public Operation {
 public:
  // May be moved before it is awaited, so that it can be passed to with_timeout() and others.
  Wait(Wait&& other) noexcept : line_(other.line_) { assert(other.chain_ == nullptr); }
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  bool await_ready() const noexcept { return false; }
  void cancel() noexcept override {
    cancelled_ = true;
    withdraw();
    wake();
  }

  // Ends the wait. Returns the frame, which the caller resumes.
  void* finish() noexcept {
    chain_->pending = nullptr;
    return chain_->innermost;
  }

 protected:
  explicit Wait(unsigned line) noexcept : line_(line) {}
  // If it is destroyed while it waits, it leaves its list of waiters, so that objects of the same
  // task which are destroyed later do not find it there.
  ~Wait() {
    if (!waits()) return;
    chain_->pending = nullptr;
    chain_->unlink();
  }

  // Makes the chain wait for this operation.
  void begin(Chain& chain, void* frame) noexcept {
    chain_ = &chain;
    chain.pending = this;
    chain.innermost = frame;
  }
  // Instead of begin() for a cancelled chain: the wait fails in the next iteration.
  void begin_cancelled(Chain& chain, void* frame) noexcept {
    cancelled_ = true;
    begin_done(chain, frame);
  }
  // Instead of begin() for an operation that has succeeded: resumes in the next iteration. There is
  // nothing to withdraw, so the chain has no pending operation.
  void begin_done(Chain& chain, void* frame) noexcept {
    chain_ = &chain;
    chain.innermost = frame;
    chain.scheduler->queue(chain);
  }
  bool waits() const noexcept { return chain_ != nullptr && chain_->pending == this; }

  // End the wait: wake() resumes the task in the next iteration; resume() now, in a callback of the
  // base.
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
  // Withdraws the operation: it must have no effect after this.
  virtual void withdraw() noexcept = 0;

  Chain* chain_ = nullptr;  // null: not begun
  unsigned line_;
  bool cancelled_ = false;
};

static_assert(sizeof(void*) != 8 || sizeof(Wait) == 32,
              "24 bytes, and 8 for a derived class to use");

}  // namespace detail
}  // namespace event_cpp::co
