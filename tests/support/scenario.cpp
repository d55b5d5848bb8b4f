// One run through all of the interface. Nothing of it allocates but the library.
#include "support/scenario.hpp"

#include <unistd.h>

#include <chrono>
#include <new>
#include <utility>

namespace event_cpp::test {
namespace {

using namespace std::chrono_literals;

// Too large to be stored in an event or a task.
struct Ballast {
  std::array<void*, 4> weight{};
};

}  // namespace

Scenario::Scenario(const Options& options) : options_(options) {
  options_.slice = 4;  // the kernel is looked at in the middle of a batch, too
  write_bytes(three_bytes_.writer, 3);
  for (Fd& copy : copies_) copy = duplicate(ready_.reader);
}

const Counts& Scenario::expected() noexcept {
  static const Counts counts = [] {
    Counts expected{};
    const auto expect = [&](Counted what, int times) {
      expected[static_cast<std::size_t>(what)] = times;
    };
    expect(Counted::one_shot, 1);
    expect(Counted::persistent, 3);
    expect(Counted::shared, 2);
    expect(Counted::crowd, static_cast<int>(kCrowd));
    expect(Counted::writable, 1);
    expect(Counted::file, 1);
    expect(Counted::reattached, 1);
    expect(Counted::assigned, 2);
    expect(Counted::timed_out, 2);
    expect(Counted::idle_timeout, 2);
    expect(Counted::timer, 2);
    expect(Counted::timers, static_cast<int>(kTimers));
    expect(Counted::ticks, 1);
    expect(Counted::rearmed, 1);
    expect(Counted::posted, kPosts + 3);
    expect(Counted::after, 1);
    expect(Counted::once, 1);
    return expected;
  }();
  return counts;
}

template <class Step>
void Scenario::attempt(Step&& step) {
  try {
    step();
    return;
  } catch (const std::bad_alloc&) {
  } catch (const std::system_error& error) {
    if (error.code().category() != std::system_category()) throw;
  }
  (*failed_)();
  step();
}

template <class F>
void Scenario::make(std::optional<Event>& event, int fd, Events events, F&& callback) {
  attempt([&] { event.emplace(*base_, fd, events, callback); });
}

template <class F>
void Scenario::attach(std::optional<Event>& event, int fd, Events events, Duration timeout,
                      F&& callback) {
  make(event, fd, events, callback);
  attempt([&] { event->attach(timeout); });
}

void Scenario::run(const std::function<void()>& failed) {
  failed_ = &failed;
  attempt([this] { base_.emplace(options_); });
  // The bound: reached only if what would end the run before was lost.
  attempt([this] {
    bound_.emplace(*base_, [this] {
      hung_ = true;
      base_->stop_now();
    });
  });
  bound_->keep_alive(false);
  attempt([this] { bound_->attach(20s); });

  attach_descriptors();
  attach_more_descriptors();
  attach_timers();
  attach_ticker();
  post_all();
  attempt([this] { base_->dispatch(); });

  left_ = base_->size() - (bound_->attached() ? 1 : 0);
}

void Scenario::attach_descriptors() {
  const int ready = ready_.reader.get();
  const int silent = silent_.reader.get();
  attach(one_shot_, ready, Events::read, {}, counter(Counted::one_shot));
  attach(persistent_, three_bytes_.reader.get(), Events::read | Events::persist, 5s,
         [this, ballast = Ballast()](Events fired) {
           static_cast<void>(ballast);
           char byte = 0;
           const bool one = ::read(three_bytes_.reader.get(), &byte, 1) == 1;
           count(one && fired == Events::read ? Counted::persistent : Counted::never);
           if (counted(Counted::persistent) == 3) persistent_->detach();
         });
  attach(timed_out_, silent, Events::read, 5ms, [this] {
    count(Counted::timed_out);
    if (counted(Counted::timed_out) < 2) attempt([this] { timed_out_->attach(5ms); });
  });
  attach(idle_timeout_, silent, Events::read | Events::persist, 4ms, [this] {
    count(Counted::idle_timeout);
    if (counted(Counted::idle_timeout) == 2) idle_timeout_->detach();
  });
  for (std::optional<Event>& event : shared_) {
    attach(event, copies_[0].get(), Events::read, 10s, counter(Counted::shared));
  }
  attach(writable_, ready_.writer.get(), Events::write, {}, counter(Counted::writable));
  attach(on_file_, file_.get(), Events::read, {}, counter(Counted::file));
}

void Scenario::attach_more_descriptors() {
  for (std::size_t i = 0; i < kCrowd; ++i) {
    make(crowd_[i], copies_[i].get(), Events::read, counter(Counted::crowd));
    crowd_[i]->set_priority(static_cast<Priority>(i % 3));
    attempt([this, i] { crowd_[i]->attach(); });
  }
  attach(detached_, ready_.writer.get(), Events::write, 1ms, counter(Counted::never));
  detached_->detach();
  attach(destroyed_, ready_.reader.get(), Events::read, 1ms, counter(Counted::never));
  destroyed_.reset();
  attach(reattached_, copies_[1].get(), Events::read, {}, counter(Counted::reattached));
  reattached_->detach();
  attempt([this] { reattached_->attach(); });
  attach(assigned_, copies_[2].get(), Events::read, {}, [this] {
    count(Counted::assigned);
    if (counted(Counted::assigned) == 2) return;
    attempt([this] { assigned_->assign(ready_.writer.get(), Events::write); });
    attempt([this] { assigned_->attach(); });
  });
  attempt([this] { base_->once(ready_.reader.get(), Events::read, 10s, counter(Counted::once)); });
}

void Scenario::attach_timers() {
  attempt([this] {
    timer_.emplace(*base_, [this] {
      count(Counted::timer);
      if (counted(Counted::timer) < 2) attempt([this] { timer_->attach(1ms); });
    });
  });
  attempt([this] { timer_->attach(3ms); });
  for (std::size_t i = 0; i < kTimers; ++i) {
    attempt([this, i] { timers_[i].emplace(*base_, counter(Counted::timers)); });
    attempt([this, i] { timers_[i]->attach(static_cast<Duration::rep>(i % 3) * 1ms); });
  }
  attempt([this] { rearmed_.emplace(*base_, counter(Counted::rearmed)); });
  attempt([this] { rearmed_->attach(1ms); });
  attempt([this] { rearmed_->rearm(7ms); });
  attempt([this] { rearmed_->rearm(4ms); });
  attempt([this] { base_->after(2ms, counter(Counted::after)); });
}

void Scenario::attach_ticker() {
  attempt([this] {
    ticker_.emplace(*base_, [this, periods = std::uint64_t{0}]() mutable {
      periods += 1 + ticker_->missed();
      if (periods < 3) return;
      ticker_->detach();
      count(Counted::ticks);
    });
  });
  attempt([this] { ticker_->attach(1ms, 2ms); });
}

void Scenario::post_all() {
  for (int i = 0; i < kPosts; ++i) {
    attempt([this] { base_->post(counter(Counted::posted), Priority::low); });
  }
  attempt([this] {
    base_->post([this, ballast = Ballast()] {
      static_cast<void>(ballast);
      count(Counted::posted);
      attempt([this] { base_->post(counter(Counted::posted), Priority::high); });
      attempt([this] { base_->post(counter(Counted::posted)); });
    });
  });
}

void Scenario::finish() {
  one_shot_.reset();
  persistent_->attach(1s);
  ticker_->attach(1ms);
  base_->post([this, ballast = Ballast()] {
    static_cast<void>(ballast);
    count(Counted::never);
  });
  base_->after(1s, [this, ballast = Ballast()] {
    static_cast<void>(ballast);
    count(Counted::never);
  });
  // Those that were declared before the base outlive it here, the others do not.
  reattached_.reset();
  timed_out_.reset();
  base_.reset();
}

}  // namespace event_cpp::test
