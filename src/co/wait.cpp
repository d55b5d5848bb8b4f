#include "event/co/wait.hpp"

#include <new>

#include "event/signal.hpp"

namespace event_cpp::co::detail {

void WaitEvent::fire(Event& event, Events fired) {
  auto& self = static_cast<WaitEvent&>(event);
  (*std::launder(reinterpret_cast<EventWait**>(self.room())))->fire(fired);
}

WaitEvent& EventWait::make(Chain& chain, int fd, Events events) {
  event_ = std::make_unique<WaitEvent>(chain.scheduler->base(), fd, events, *this);
  return *event_;
}

void EventWait::begin_sleep(Chain& chain, void* frame, Duration delay) {
  if (chain.cancelled) return begin_cancelled(chain, frame);
  make(chain, -1, Events::timeout).attach(delay);
  begin(chain, frame);
}

void EventWait::begin_sleep_until(Chain& chain, void* frame, TimePoint deadline) {
  if (chain.cancelled) return begin_cancelled(chain, frame);
  make(chain, -1, Events::timeout).attach_at(deadline);
  begin(chain, frame);
}

void EventWait::begin_ready(Chain& chain, void* frame, int fd, Events events, Duration timeout) {
  if (chain.cancelled) return begin_cancelled(chain, frame);
  make(chain, fd, events).attach(timeout);
  begin(chain, frame);
}

SignalWatch& Scheduler::watch_signal(int signo) {
  for (const auto& watch : signals_) {
    if (watch->signo == signo) return *watch;
  }
  signals_.push_back(std::make_unique<SignalWatch>(base_, signo));
  return *signals_.back();
}

SignalWatch::SignalWatch(Base& base, int number)
    : signo(number), event(std::make_unique<Signal>(base, number, [this] { raised(); })) {
  event->attach();
  event->keep_alive(false);
}

void SignalWatch::raised() {
  pending = !waiting.linked();
  while (waiting.linked()) {
    auto& wait = *static_cast<SignalWait*>(static_cast<Chain*>(waiting.next())->pending);
    wait.watch_ = nullptr;
    wait.wake();
  }
  event->keep_alive(false);
}

SignalWait::~SignalWait() {
  if (waits()) withdraw();
}

bool SignalWait::begin_wait(Chain& chain, void* frame) {
  SignalWatch& watch = chain.scheduler->watch_signal(signo_);
  const bool may_go_on = chain.spend();
  const bool came = watch.pending;
  if (chain.cancelled && !(came && may_go_on)) {
    begin_cancelled(chain, frame);
    return true;
  }
  if (came) {
    watch.pending = false;
    if (may_go_on) return false;
    begin_done(chain, frame);
    return true;
  }
  begin(chain, frame);
  watch.waiting.push_back(chain);
  watch.event->keep_alive(true);
  watch_ = &watch;
  return true;
}

void SignalWait::withdraw() noexcept {
  if (watch_ == nullptr) return;
  chain()->unlink();
  if (!watch_->waiting.linked()) watch_->event->keep_alive(false);
  watch_ = nullptr;
}

void ExitWait::begin_wait(Chain& chain, void* frame) {
  if (chain.cancelled) return begin_cancelled(chain, frame);
  child_ = std::make_unique<event_cpp::Child>(chain.scheduler->base(), pid_, [this](int status) {
    status_ = status;
    resume();
  });
  child_->attach();
  begin(chain, frame);
}

}  // namespace event_cpp::co::detail
