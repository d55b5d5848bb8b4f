#include "parts_act.hpp"

#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "event/timer.hpp"

namespace event_cpp::faults {
namespace {

using namespace std::chrono_literals;

// Far more than a run that works comes near, far less than one that spins for a while.
constexpr std::uint64_t kMostWaits = 2000;

class PartsAct {
 public:
  PartsAct(Journal& journal, Backend backend, const Act& act) : journal_(journal), act_(act) {
    Options options;
    options.backend = backend;
    attempt(journal_, "Base", [&] { base_.emplace(options); });
    attempt(journal_, "Timer", [this] {
      bound_.emplace(*base_, [this] {
        journal_.miss("an end in time");
        base_->stop_now();
      });
    });
    attempt(journal_, "attach the bound", [this] { bound_->attach(kBound); });
    attempt(journal_, "TaskGroup", [this] { parts_.emplace(*base_, "parts"); });
  }

  void run() {
    World world{journal_, *base_};
    left_ = act_.parts.size();
    for (const Part& part : act_.parts) {
      attempt(journal_, "spawn", [&] { parts_->spawn(run_part(world, part)); });
    }
    attempt(journal_, "dispatch", [this] { base_->dispatch(); });
    journal_.expect(left_ == 0, "a part to end");
    journal_.expect(base_->stats().waits < kMostWaits, "a loop that sleeps");
    // A child that was killed may be about to end, and keeps nobody.
    for (int i = 0; i < 5000 && base_->size() > 0; ++i) {
      const Exempt exempt;
      std::this_thread::sleep_for(1ms);
      base_->loop(RunMode::nonblock);
    }
    journal_.expect(base_->size() == 0, "nothing to be left attached");
    // The end, while something waits. What it throws before leaves the loop.
    for (int tries = 0; !wait_in_vain(); ++tries) {
      if (tries == 1) throw GivenUp{"the end"};
    }
    base_.reset();
  }

 private:
  // Returns false if an error was reported.
  bool wait_in_vain() {
    try {
      parts_->spawn(act_.wait_for_ever(journal_));
      for (int i = 0; i < 3; ++i) base_->loop(RunMode::nonblock);
      return true;
    } catch (...) {
      report(journal_, "the end", std::current_exception());
      return false;
    }
  }

  co::Task<> run_part(World& world, const Part& part) {
    for (int tries = 0;; ++tries) {
      std::exception_ptr error;
      try {
        co_await part.run(world);
        break;
      } catch (const Cut& cut) {
        journal_.miss(cut.what);
        break;
      } catch (...) {
        error = std::current_exception();
      }
      report(journal_, part.name, error);
      if (tries == 1) throw GivenUp{part.name};
    }
    if (--left_ == 0) bound_->detach();
  }

  Journal& journal_;
  const Act& act_;
  std::size_t left_ = 0;
  std::optional<Base> base_;
  std::optional<Timer> bound_;
  std::optional<co::TaskGroup> parts_;
};

// In a thread of its own, whose memory is freed at its end.
template <class F>
void run_in_thread(F&& f) {
  const Exempt exempt;
  std::thread thread(std::forward<F>(f));
  thread.join();
}

}  // namespace

void run_parts(Journal& journal, Backend backend, const Act& act) {
  std::optional<GivenUp> given_up;
  run_in_thread([&]() noexcept {
    try {
      PartsAct(journal, backend, act).run();
    } catch (const GivenUp& error) {
      given_up = error;
    }
  });
  if (given_up) throw GivenUp(*given_up);
}

void rehearse(const Act& act) {
  Journal& journal = Journal::open();
  run_in_thread([&]() noexcept {
    const Exempt exempt;
    PartsAct(journal, Backend::automatic, act).run();
  });
}

}  // namespace event_cpp::faults
