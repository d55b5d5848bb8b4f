#include "event/base.hpp"

#include <cassert>
#include <system_error>
#include <utility>

#include "loop/loop.hpp"
#include "poller/poller.hpp"

namespace event_cpp {

Base::Base(Options options) : loop_(std::make_unique<detail::Loop>(*this, options)) {}

// The upper floors go first, while the base still works. Then nothing can be attached any more, and
// what users gave is destroyed: their destructors may use the base, and give it more.
Base::~Base() {
  assert(!running() && "a base must not be destroyed in a callback");
  floors_.drop();
  loop_->close();
  while (owned_.drop() || loop_->drop() || floors_.drop()) {
  }
}

std::size_t Base::dispatch() { return loop(RunMode::forever); }

std::size_t Base::loop(RunMode mode) {
  if (running()) return loop_->run(mode);  // which throws
  struct CancelStop {
    Base& base;
    ~CancelStop() {
      if (base.stop_timer_ != nullptr) base.stop_timer_->detach();
    }
  };
  const CancelStop at_the_end{*this};
  return loop_->run(mode);
}

void Base::stop() noexcept { loop_->stop(detail::Attention::kStop); }

void Base::stop_now() noexcept { loop_->stop(detail::Attention::kStopNow); }

void Base::stop_after(AnyDuration delay) {
  if (loop_->closing()) return;
  if (stop_timer_ == nullptr) {
    auto timer = std::make_unique<Event>(*this, -1, Events::timeout, [this] {
      stop();
      loop_->uncount_callback(Priority::middle);  // it is none of the user's
    });
    timer->keep_alive(false);
    stop_timer_ = std::move(timer);
  }
  stop_timer_->rearm(delay);
}

void Base::post(detail::Task&& task, Priority priority) { loop_->post(std::move(task), priority); }

TimePoint Base::now() const noexcept { return loop_->now(); }

bool Base::running() const noexcept { return loop_->running(); }

bool Base::has_work() const noexcept { return loop_->alive(); }
std::size_t Base::size() const noexcept { return loop_->watches().size(); }

Backend Base::backend() const noexcept { return loop_->backend(); }

std::vector<Backend> Base::backends() {
  std::vector<Backend> usable;
  for (const Backend kind : detail::compiled_pollers()) {
    try {
      static_cast<void>(detail::make_poller(kind));
      usable.push_back(kind);
    } catch (const std::system_error&) {
      // This kernel, or this container, does not have it.
    }
  }
  return usable;
}

void Base::reserve(std::size_t descriptors, std::size_t timers) {
  loop_->watches().reserve(descriptors, timers);
}

void Base::after_fork() {
  if (const std::error_code error = loop_->after_fork()) {
    throw std::system_error(error, "event::Base::after_fork");
  }
}

int Base::fd() noexcept { return loop_->fd(); }

std::optional<Duration> Base::next_timeout() const noexcept { return loop_->next_timeout(); }

Stats Base::stats() const noexcept { return loop_->stats(); }

void Base::on_slow(Duration budget, std::shared_ptr<detail::SlowReport> report) {
  if (const std::error_code error = loop_->on_slow(budget, std::move(report))) {
    throw std::system_error(error, "event::Base::on_slow");
  }
}

void Base::dump(std::ostream& out) const { loop_->watches().dump(out); }

Order* detail::order_of(Base& base) noexcept { return loop_of(base)->watches().order(); }

void detail::withdraw_stop(Base& base) noexcept { loop_of(base)->withdraw_stop(); }

detail::Loop* detail::loop_of(Base& base) noexcept { return base.loop_.get(); }

}  // namespace event_cpp
