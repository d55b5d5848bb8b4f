#include "co/away.hpp"

#include <cstdio>
#include <exception>
#include <new>
#include <utility>

#include "co/with_memory.hpp"
#include "event/co/threads.hpp"

namespace event_cpp::co::detail {

bool ResumeOn::begin_move(Chain& chain, void* frame) {
  if (&chain.scheduler->base() == &to_) return false;
  if (chain.cancelled && !Away::is_home_of(chain, to_)) {
    begin_cancelled(chain, frame);
    return true;
  }
  begin(chain, frame);
  chain.scheduler->queue(chain, Turn::depart);
  return true;
}

// It still goes home.
void ResumeOn::cancel() noexcept {
  if (!Away::is_home_of(*chain(), to_)) Wait::cancel();
}

void ResumeOn::await_resume() const {
  throw_if_cancelled();
  if (failed_) throw std::bad_alloc();
}

void terminate_away() noexcept {
  std::fputs("event: a task is on another base, and that or the task's owner is destroyed\n",
             stderr);
  std::terminate();
}

void cancel_away(Chain& chain) noexcept { static_cast<Away&>(*chain.owner).cancel(chain); }

// Nothing of the chain is on the stack: the other thread may run it as soon as it is posted.
void Away::depart(Chain& chain) noexcept {
  auto& move = static_cast<ResumeOn&>(*chain.pending);
  Scheduler& here = *chain.scheduler;
  const bool leaves_home = !chain.away;
  try {
    if (!leaves_home) return of(chain)->send(chain, move.to_);
    auto away = std::make_shared<Away>(*chain.owner, here);
    here.hold();
    away->self_ = away;
    chain.owner = away.get();
    chain.away = true;
    away->send(chain, move.to_);
  } catch (const std::exception&) {
    if (leaves_home && chain.away) {
      const std::shared_ptr<Away> away = of(chain);
      chain.owner = &away->owner_;
      chain.away = false;
      away->self_.reset();
      here.let_go();
    }
    move.failed_ = true;
    move.wake();
  }
}

// A chain on its way to a base that is not its home. If that base is destroyed first, the function
// that was posted to it is destroyed without having run. Then this ends the program: else the
// task's owner would wait for ever.
class Away::Arrival {
 public:
  Arrival(Away& away, Chain& chain, Base& at) noexcept : away_(&away), chain_(chain), at_(at) {}
  ~Arrival() {
    if (away_ != nullptr) terminate_away();
  }
  Arrival(const Arrival&) = delete;
  Arrival& operator=(const Arrival&) = delete;

  void run() noexcept { std::exchange(away_, nullptr)->arrive(chain_, at_); }
  void give_up() noexcept { away_ = nullptr; }

 private:
  Away* away_;  // null: has run, or was not posted
  Chain& chain_;
  Base& at_;
};

// If post() throws, it has destroyed the function: this then still has the arrival.
void Away::post_arrival(Chain& chain, Base& to) {
  const auto arrival = std::make_shared<Arrival>(*this, chain, to);
  try {
    to.post([arrival] { arrival->run(); });
  } catch (...) {
    arrival->give_up();
    throw;
  }
}

// Errors: throws std::bad_alloc, and the chain is still here.
void Away::send(Chain& chain, Base& to) {
  Scheduler* const here = chain.scheduler == &home_ ? nullptr : chain.scheduler;
  set_where(nullptr, chain);
  try {
    if (&to == &home_.base()) {
      to.post([this, &chain] { come_home(chain, false); });
    } else {
      post_arrival(chain, to);
    }
  } catch (...) {
    set_where(here, chain);
    throw;
  }
  if (here != nullptr) --here->guests_;
}

void Away::set_where(Scheduler* scheduler, Chain& chain) noexcept {
  const std::lock_guard lock(mutex_);
  where_ = scheduler;
  if (scheduler != nullptr && cancelled_) chain.cancelled = true;
}

void Away::arrive(Chain& chain, Base& at) noexcept {
  Scheduler& here = with_memory([&]() -> Scheduler& { return Scheduler::of(at); });
  ++here.guests_;
  chain.scheduler = &here;
  set_where(&here, chain);
  chain.pending = nullptr;
  here.resume(chain);
}

// The first task of the chain has ended on another base. Its frame is destroyed at home.
void* Away::ended(Chain& chain) noexcept {
  --chain.scheduler->guests_;
  set_where(nullptr, chain);
  post_surely(home_.base(), [this, &chain] { come_home(chain, true); });
  return nullptr;
}

void Away::come_home(Chain& chain, bool ended) noexcept {
  const std::shared_ptr<Away> self = std::move(self_);
  set_where(&home_, chain);
  chain.scheduler = &home_;
  chain.owner = &owner_;
  chain.away = false;
  home_.let_go();
  if (ended) {
    if (void* const next = owner_.ended(chain)) home_.go_on(next);
    return;
  }
  chain.pending = nullptr;
  home_.resume(chain);
}

// Without memory it is told when it arrives somewhere.
void Away::cancel(Chain& chain) noexcept {
  const std::lock_guard lock(mutex_);
  if (std::exchange(cancelled_, true) || where_ == nullptr) return;
  try {
    where_->base().post(
        [self = shared_from_this(), where = where_, &chain] { self->cancel_at(*where, chain); });
  } catch (const std::bad_alloc&) {
  }
}

// In the thread of `scheduler`; the chain may have left it.
void Away::cancel_at(const Scheduler& scheduler, Chain& chain) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (where_ != &scheduler) return;
  }
  chain.cancel_here();
}

}  // namespace event_cpp::co::detail
