#include "loop/signals.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <new>
#include <thread>
#include <type_traits>

#include "sys/fork_safe_lock.hpp"

namespace event_cpp::detail {

inline void Signals::wake_loop() noexcept { waker_.request(Attention::kSignalled); }

[[gnu::always_inline]] inline bool Signals::note(int signo) noexcept {
  if (!is_interested_in(signo)) return false;
  came_[word_of(signo)].fetch_or(bit_of(signo));
  wake_loop();
  return true;
}

// The dispositions of the process: a handler for each signal that any base has an event on, and
// what was there before. The handler walks a list of the bases without a lock; whoever takes one
// out waits until no handler is running that could still see it.
//
// The handler also runs where no base is to be told: in a process that is not the one that attached
// the events (between vfork(2) or fork(2) and exec(3)), and when other code that had saved it puts
// it back after the last event is gone. Then it does what the former disposition does.
class SignalHandlers {
 public:
  static SignalHandlers& instance() noexcept {
    // Never destroyed: a base may be static as well, and a signal comes when it likes.
    static constinit SignalHandlers handlers;
    static_assert(std::is_trivially_destructible_v<SignalHandlers>);
    return handlers;
  }

  // A base gets its first event on a signal. Returns 0 or an errno, and then has changed nothing.
  int add(Signals& signals, int signo) noexcept {
    if (signo < 1 || signo > kMostSignals) return EINVAL;
    const std::lock_guard lock(lock_);
    begin_process();
    link(signals);
    signals.interesting_[Signals::word_of(signo)].fetch_or(Signals::bit_of(signo));
    if (const int error = count_base(signo); error != 0) {
      leave(signals, signo);
      return error;
    }
    return 0;
  }

  // It has lost its last one.
  void remove(Signals& signals, int signo) noexcept {
    const std::lock_guard lock(lock_);
    begin_process();
    if (leave(signals, signo) == 0) restore(signo);
  }

  // In the child of a fork: the base is told of signals again, and what has come is the parent's.
  void adopt(Signals& signals) noexcept {
    const std::lock_guard lock(lock_);
    begin_process();
    if (signals.linked_) return;
    link(signals);
    for (int signo = 1; signo <= kMostSignals; ++signo) {
      if (signals.is_interested_in(signo)) static_cast<void>(count_base(signo));
    }
  }

  // What is done on a signal when there is no event on it.
  struct sigaction former(int signo) noexcept {
    const std::lock_guard lock(lock_);
    struct sigaction current {};
    if (::sigaction(signo, nullptr, &current) != 0 || !is_ours(current)) return current;
    return former_[index(signo)];
  }

  // Tells every base of a signal. Returns whether one is interested in it.
  bool deliver(int signo) noexcept {
    running_.fetch_add(1);
    const bool told = tell_bases(signo);
    running_.fetch_sub(1);
    return told;
  }

 private:
  static std::size_t index(int signo) noexcept { return static_cast<std::size_t>(signo - 1); }

  static void handle(int signo, siginfo_t* info, void* context) {
    SignalHandlers& handlers = instance();
    if (handlers.is_own_process() && handlers.deliver(signo)) [[likely]]
      return;
    handlers.act_as_before(signo, info, context);
  }

  bool is_own_process() const noexcept {
    return process_.load(std::memory_order_relaxed) == ::getpid();
  }

  bool tell_bases(int signo) noexcept {
    bool told = false;
    for (Signals* to = first_.load(); to != nullptr; to = to->next_.load()) {
      if (to->note(signo)) told = true;
    }
    return told;
  }

  // Nobody was told.
  [[gnu::noinline]] void act_as_before(int signo, siginfo_t* info, void* context) {
    const int saved = errno;
    struct sigaction former;
    if (is_own_process()) {
      // As long as no base is interested, and while running_ says that a handler runs, install()
      // does not write it.
      running_.fetch_add(1);
      const bool told = tell_bases(signo);
      former = former_[index(signo)];
      running_.fetch_sub(1);
      if (told) return;
    } else {
      former = former_[index(signo)];
    }
    act(former, signo, info, context);
    errno = saved;
  }

  // Does in a handler what the kernel would have done with `action`.
  static void act(const struct sigaction& action, int signo, siginfo_t* info, void* context) {
    if ((action.sa_flags & SA_SIGINFO) != 0) {
      action.sa_sigaction(signo, info, context);
    } else if (action.sa_handler == SIG_DFL) {
      act_by_default(signo);
    } else if (action.sa_handler != SIG_IGN) {
      action.sa_handler(signo);
    }
  }

  // The process ends, stops, or goes on: after that the handler is there again, as another thread
  // may have attached an event meanwhile.
  static void act_by_default(int signo) noexcept {
    struct sigaction by_default {};
    by_default.sa_handler = SIG_DFL;
    struct sigaction ours {};
    static_cast<void>(::sigaction(signo, &by_default, &ours));
    static_cast<void>(::raise(signo));  // it is blocked while its handler runs
    let_through(signo);
    static_cast<void>(::sigaction(signo, &ours, nullptr));
  }

  // The handler is installed for the first base.
  int count_base(int signo) noexcept { return bases_[index(signo)]++ == 0 ? install(signo) : 0; }

  int install(int signo) noexcept {
    struct sigaction action {};
    action.sa_sigaction = &handle;
    action.sa_flags = SA_RESTART | SA_ONSTACK | SA_SIGINFO;
    ::sigfillset(&action.sa_mask);
    struct sigaction current {};
    if (::sigaction(signo, &action, &current) != 0) return errno;
    // Somebody may have put it back: what was there before it is known then.
    if (is_ours(current)) return 0;
    wait_for_handlers();  // one that began before could be reading the old one
    former_[index(signo)] = current;
    return 0;
  }

  void restore(int signo) noexcept {
    struct sigaction current {};
    if (::sigaction(signo, nullptr, &current) != 0 || !is_ours(current)) return;
    static_cast<void>(::sigaction(signo, &former_[index(signo)], nullptr));
  }

  static bool is_ours(const struct sigaction& action) noexcept {
    return (action.sa_flags & SA_SIGINFO) != 0 && action.sa_sigaction == &handle;
  }

  // A handler is short, and may be running in another thread, but not in this one.
  void wait_for_handlers() const noexcept {
    while (running_.load() != 0) std::this_thread::yield();
  }

  // Returns how many bases still have an event on it.
  std::size_t leave(Signals& signals, int signo) noexcept {
    const std::size_t word = Signals::word_of(signo);
    const std::uint64_t bit = Signals::bit_of(signo);
    signals.interesting_[word].fetch_and(~bit);
    if (!signals.linked_) return bases_[index(signo)];  // the parent's, and not counted here
    const bool last = std::all_of(signals.interesting_.begin(), signals.interesting_.end(),
                                  [](const auto& bits) { return bits.load() == 0; });
    if (last) unlink(signals);
    wait_for_handlers();
    signals.came_[word].fetch_and(~bit);
    return --bases_[index(signo)];
  }

  void link(Signals& signals) noexcept {
    if (signals.linked_) return;
    signals.next_.store(first_.load());
    first_.store(&signals);
    signals.linked_ = true;
  }

  void unlink(Signals& signals) noexcept {
    std::atomic<Signals*>* at = &first_;
    while (at->load() != &signals) at = &at->load()->next_;
    at->store(signals.next_.load());
    signals.linked_ = false;
  }

  // In the child of a fork nothing is left of the parent's bases: adopt() brings them back, one by
  // one. Until then process_ is another process, and the handler looks at none of this.
  void begin_process() noexcept {
    if (!forked_since(forks_)) return;
    running_.store(0);  // the parent's
    while (Signals* const first = first_.load()) {
      static_cast<void>(first->take());
      unlink(*first);
    }
    bases_.fill(0);
    forks_ = fork_count();
    process_.store(::getpid());
  }

  ForkSafeLock lock_;
  std::atomic<Signals*> first_{nullptr};
  std::atomic<std::uint32_t> running_{0};                // handlers
  std::atomic<pid_t> process_{0};                        // whose signals the bases are told of
  std::uint32_t forks_ = 0;                              // in that process; guarded by lock_
  std::array<std::size_t, kMostSignals> bases_{};        // guarded by lock_
  std::array<struct sigaction, kMostSignals> former_{};  // written with lock_
};

Signals::~Signals() {
  clear([](Node&) {});
}

int Signals::add(Node& node) noexcept {
  const int signo = node.fd();  // not its descriptor: without one, a timer has that place
  try {
    nodes_.reserve(nodes_.size() + 1);
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
  if (!has_event_on(signo)) {
    if (const int error = SignalHandlers::instance().add(*this, signo); error != 0) return error;
    blocked_.watch(signo);
  }
  nodes_.push_back(&node);
  return 0;
}

void Signals::remove(Node& node) noexcept {
  nodes_.erase(std::find(nodes_.begin(), nodes_.end(), &node));
  if (has_event_on(node.descriptor)) return;
  blocked_.unwatch(node.descriptor);
  SignalHandlers::instance().remove(*this, node.descriptor);
}

bool Signals::is_former_ignoring_children() noexcept {
  const struct sigaction former = SignalHandlers::instance().former(SIGCHLD);
  if ((former.sa_flags & SA_NOCLDWAIT) != 0) return true;
  return (former.sa_flags & SA_SIGINFO) == 0 && former.sa_handler == SIG_IGN;
}

bool Signals::has_event_on(int signo) const noexcept {
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [signo](const Node* node) { return node->descriptor == signo; });
}

void Signals::after_fork() noexcept {
  if (!empty()) SignalHandlers::instance().adopt(*this);
}

void Signals::take_blocked() noexcept {
  // What a handler has noted was reported here as well, while it was pending.
  if (!waker_.attention().test(Attention::kSignalled)) take_pending();
}

void Signals::take_pending() noexcept {
  while (const int signo = blocked_.take()) {
    static_cast<void>(SignalHandlers::instance().deliver(signo));
  }
}

void Signals::note(Set came) noexcept {
  came_[0].fetch_or(came.low);
  came_[1].fetch_or(came.high);
  wake_loop();
}

}  // namespace event_cpp::detail
