#include "other_acts.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "support/descriptors.hpp"

namespace event_cpp::faults {
namespace {

using namespace std::chrono_literals;

constexpr int kFine = 0;

// One base with something of each kind on it, all of which comes once.
class Watched {
 public:
  Watched(Journal& journal, Backend backend, const Options& rest = {}) : journal_(journal) {
    Options options = rest;
    options.backend = backend;
    attempt(journal_, "Base", [&] { base_.emplace(options); });
    bound_.emplace(*base_, [this] {
      journal_.miss("an end in time");
      base_->stop_now();
    });
    attempt(journal_, "attach the bound", [this] { bound_->attach(kBound); });
    readable_.emplace(*base_, pipe_.reader.get(), Events::read, [this] { came(); });
    attempt(journal_, "attach to read", [this] { readable_->attach(); });
    timer_.emplace(*base_, [this] { came(); });
    attempt(journal_, "attach a timer", [this] { timer_->attach(2ms); });
    signal_.emplace(*base_, SIGUSR1, [this] {
      signal_->detach();
      came();
    });
    attempt(journal_, "attach a signal", [this] { signal_->attach(); });
    blocked_signal_.emplace(*base_, SIGUSR2, [this] {
      blocked_signal_->detach();
      came();
    });
    attempt(journal_, "attach a blocked signal", [this] { blocked_signal_->attach(); });
    alarm_.emplace(*base_, [this] { came(); });
    attempt(journal_, "attach an alarm",
            [this] { alarm_->attach(std::chrono::system_clock::now() + 2ms); });
  }

  Base& base() noexcept { return *base_; }
  bool is_complete() const noexcept { return came_ == kAll; }

  void cause() {
    const Exempt exempt;
    test::write_bytes(pipe_.writer);
    ::raise(SIGUSR1);
    ::raise(SIGUSR2);
  }

  void dispatch() {
    attempt(journal_, "dispatch", [this] { base_->dispatch(); });
    journal_.expect(is_complete(), "an event");
  }

 private:
  static constexpr int kAll = 5;

  void came() noexcept {
    if (++came_ == kAll) bound_->detach();
  }

  struct ExemptPipe {
    ExemptPipe() {
      const Exempt exempt;
      pipe = test::make_pipe();
    }
    test::Pipe pipe;
  };

  Journal& journal_;
  ExemptPipe made_;
  const test::Pipe& pipe_ = made_.pipe;
  std::optional<Base> base_;
  std::optional<Event> readable_;
  std::optional<Timer> timer_, bound_;
  std::optional<Signal> signal_, blocked_signal_;
  std::optional<Alarm> alarm_;
  int came_ = 0;
};

// Runs `part` in a child of this process, and waits for its end.
template <class Part>
void in_child(Journal& journal, Part&& part) {
  std::optional<Exempt> exempt(std::in_place);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    exempt.reset();
    try {
      part();
    } catch (const GivenUp& given_up) {
      journal.miss(given_up.step);
    }
    ::_exit(kFine);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  journal.expect(WIFEXITED(status) && WEXITSTATUS(status) == kFine, "a child's end");
}

// Runs a base as another loop would. Where there is no descriptor to wait for, it looks each
// millisecond.
void run_outside(Journal& journal, Watched& watched) {
  constexpr int kMostTurns = 3000;
  Base& base = watched.base();
  const auto begun = std::chrono::steady_clock::now();
  for (int turn = 0; !watched.is_complete(); ++turn) {
    if (turn == kMostTurns || std::chrono::steady_clock::now() - begun > kBound) {
      return journal.miss("an event inside another loop");
    }
    pollfd polled{base.fd(), POLLIN, 0};
    const Duration most = polled.fd < 0 ? Duration(1ms) : Duration(1s);
    const Duration time = std::min(base.next_timeout().value_or(most), most);
    {
      const Exempt exempt;
      const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(time);
      static_cast<void>(::poll(&polled, 1, static_cast<int>(milliseconds.count())));
    }
    attempt(journal, "loop", [&] { base.loop(RunMode::nonblock); });
  }
}

}  // namespace

void run_fork_act(Journal& journal, Backend backend) {
  Watched watched(journal, backend);
  in_child(journal, [&] {
    attempt(journal, "after_fork", [&] { watched.base().after_fork(); });
    watched.cause();
    watched.dispatch();
  });
  watched.cause();
  watched.dispatch();
}

void run_embedded_act(Journal& journal, Backend backend) {
  Watched watched(journal, backend);
  const int fd = watched.base().fd();
  if (fd < 0 && backend != Backend::poll) journal.report("fd", Journal::kUnknown);
  watched.cause();
  in_child(journal, [&] {
    attempt(journal, "after_fork", [&] { watched.base().after_fork(); });
    watched.cause();
    run_outside(journal, watched);
  });
  run_outside(journal, watched);
}

void run_repair_act(Journal& journal, Backend backend) {
  Watched watched(journal, backend);
  std::optional<Exempt> exempt(std::in_place);
  test::Pipe closed = test::make_pipe();
  const test::Fd kept_alive = test::duplicate(closed.reader);
  exempt.reset();
  {
    Event old(watched.base(), closed.reader.get(), Events::read | Events::persist,
              [&] { journal.miss("what is closed to be silent"); });
    attempt(journal, "attach to what will be closed", [&] { old.attach(); });
    exempt.emplace();
    closed.reader.close();
    exempt.reset();
  }
  exempt.emplace();
  test::write_bytes(closed.writer);
  exempt.reset();
  for (int i = 0; i < 5; ++i) {
    attempt(journal, "loop", [&] { watched.base().loop(RunMode::nonblock); });
  }
  watched.cause();
  watched.dispatch();
  journal.expect(watched.base().stats().waits < 500, "a loop that sleeps");
}

void run_rest_act(Journal& journal, Backend backend) {
  Options boottime;
  boottime.clock = Clock::boottime;
  Watched watched(journal, backend, boottime);
  Base& base = watched.base();
  attempt(journal, "reserve", [&] { base.reserve(200, 2000); });
  std::uint64_t measured = 0;
  attempt(journal, "on_slow", [&] { base.on_slow(0ns, [&](const CallbackTime&) { ++measured; }); });
  attempt(journal, "stop_after", [&] { base.stop_after(10s); });
  watched.cause();
  watched.dispatch();
  journal.expect(measured > 0, "a slow callback");
  attempt(journal, "backends", [&] {
    const std::vector<Backend> usable = Base::backends();
    journal.expect(!usable.empty() && usable.back() == Backend::poll, "the backend of last resort");
  });
  attempt(journal, "an automatic Base", [] { const Base automatic; });
}

}  // namespace event_cpp::faults
