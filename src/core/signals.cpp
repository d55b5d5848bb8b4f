#include "core/signals.hpp"

#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <new>
#include <thread>

namespace event_cpp::detail {

// What the process has of each signal: a handler while any base has an event on it, and what was
// there before. The handler walks a list of the bases without a lock; whoever takes one out waits
// until no handler is running that could still see it.
class SignalHandlers {
 public:
  static SignalHandlers& instance() noexcept {
    // Never destroyed: a base may be static as well, and a signal comes when it likes.
    alignas(SignalHandlers) static std::byte room[sizeof(SignalHandlers)];
    static auto* const handlers = ::new (static_cast<void*>(room)) SignalHandlers;
    return *handlers;
  }

  // A base gets its first event on a signal. Returns 0 or an errno, and then has changed nothing.
  int add(Signals& signals, int signo) noexcept {
    if (signo < 1 || signo > Signals::kMost) return EINVAL;
    const std::lock_guard lock(mutex_);
    if (const int error = survive_forks(); error != 0) return error;
    link(signals);
    const std::size_t word = Signals::word_of(signo);
    signals.interesting_[word].fetch_or(Signals::bit_of(signo));
    if (bases_[index(signo)]++ == 0) {
      if (const int error = install(signo); error != 0) {
        leave(signals, signo);
        return error;
      }
    }
    return 0;
  }

  // It has lost its last one.
  void remove(Signals& signals, int signo) noexcept {
    const std::lock_guard lock(mutex_);
    if (leave(signals, signo) == 0) restore(signo);
  }

  // Tells every base of a signal.
  void deliver(int signo) noexcept {
    running_.fetch_add(1);
    for (Signals* to = first_.load(); to != nullptr; to = to->next_.load()) to->note(signo);
    running_.fetch_sub(1);
  }

 private:
  static std::size_t index(int signo) noexcept { return static_cast<std::size_t>(signo - 1); }

  static void handle(int signo) { instance().deliver(signo); }

  int install(int signo) noexcept {
    struct sigaction action {};
    action.sa_handler = &handle;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    ::sigfillset(&action.sa_mask);
    return ::sigaction(signo, &action, &former_[index(signo)]) == 0 ? 0 : errno;
  }

  void restore(int signo) noexcept {
    struct sigaction current {};
    const bool is_ours = ::sigaction(signo, nullptr, &current) == 0 &&
                         (current.sa_flags & SA_SIGINFO) == 0 && current.sa_handler == &handle;
    if (is_ours) static_cast<void>(::sigaction(signo, &former_[index(signo)], nullptr));
  }

  // Returns how many bases still have an event on it.
  std::size_t leave(Signals& signals, int signo) noexcept {
    const std::size_t word = Signals::word_of(signo);
    const std::uint64_t bit = Signals::bit_of(signo);
    signals.interesting_[word].fetch_and(~bit);
    const bool last = std::all_of(signals.interesting_.begin(), signals.interesting_.end(),
                                  [](const auto& bits) { return bits.load() == 0; });
    if (last) unlink(signals);
    // A handler is short, and may be running in another thread, but not in this one.
    while (running_.load() != 0) std::this_thread::yield();
    signals.came_[word].fetch_and(~bit);
    return --bases_[index(signo)];
  }

  void link(Signals& signals) noexcept {
    for (Signals* other = first_.load(); other != nullptr; other = other->next_.load()) {
      if (other == &signals) return;
    }
    signals.next_.store(first_.load());
    first_.store(&signals);
  }

  void unlink(Signals& signals) noexcept {
    std::atomic<Signals*>* at = &first_;
    while (at->load() != &signals) at = &at->load()->next_;
    at->store(signals.next_.load());
  }

  // A fork while another thread holds the lock, or runs a handler, would leave the child with both
  // for ever; and what has come is the parent's.
  int survive_forks() noexcept {
    if (!survives_forks_) {
      const int error =
          ::pthread_atfork([] { instance().mutex_.lock(); }, [] { instance().mutex_.unlock(); },
                           [] {
                             instance().begin_child();
                             instance().mutex_.unlock();
                           });
      if (error != 0) return error;
      survives_forks_ = true;
    }
    return 0;
  }

  void begin_child() noexcept {
    running_.store(0);
    for (Signals* each = first_.load(); each != nullptr; each = each->next_.load()) {
      static_cast<void>(each->take());
    }
  }

  std::mutex mutex_;
  std::atomic<Signals*> first_{nullptr};
  std::atomic<std::uint32_t> running_{0};                  // handlers
  bool survives_forks_ = false;                            // guarded by mutex_
  std::array<std::size_t, Signals::kMost> bases_{};        // guarded by mutex_
  std::array<struct sigaction, Signals::kMost> former_{};  // guarded by mutex_
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

bool Signals::has_event_on(int signo) const noexcept {
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [signo](const Node* node) { return node->descriptor == signo; });
}

void Signals::look_for_blocked() noexcept {
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  for (const Node* const node : nodes_) {
    const int signo = node->descriptor;
    if (::sigismember(&mask, signo) == 1) {
      blocked_.watch(signo);
    } else {
      blocked_.unwatch(signo);
    }
  }
}

void Signals::take_blocked() noexcept {
  // What a handler has noted was reported here as well, while it was pending.
  if (attention_.asked(Attention::kSignalled)) return;
  while (const int signo = blocked_.take()) SignalHandlers::instance().deliver(signo);
}

void Signals::note(int signo) noexcept {
  const std::size_t word = word_of(signo);
  if ((interesting_[word].load() & bit_of(signo)) == 0) return;
  came_[word].fetch_or(bit_of(signo));
  ask();
}

void Signals::note(const Set& came) noexcept {
  for (std::size_t word = 0; word < came.words.size(); ++word) {
    came_[word].fetch_or(came.words[word]);
  }
  ask();
}

void Signals::ask() noexcept {
  if (attention_.ask(Attention::kSignalled)) wakeup_.wake();
}

// The question is answered first: a signal that comes in between asks again.
Signals::Set Signals::take() noexcept {
  attention_.answer(Attention::kSignalled);
  Set came;
  for (std::size_t word = 0; word < came.words.size(); ++word) {
    came.words[word] = came_[word].exchange(0);
  }
  return came;
}

}  // namespace event_cpp::detail
