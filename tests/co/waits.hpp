// One task for each thing that a task can wait for, none of which comes to pass.
#pragma once

#include <csignal>
#include <functional>
#include <future>
#include <memory>
#include <vector>

#include "co/support.hpp"
#include "support/children.hpp"

namespace event_cpp::test {

// What the tasks wait for.
class Waits {
 public:
  explicit Waits(Base& base) : busy_(base, "busy") { busy_.spawn(sleep()); }
  ~Waits() { open(); }

  struct Kind {
    const char* name;
    co::Task<> (*make)(Waits& waits);
  };
  static std::vector<Kind> kinds() {
    std::vector<Kind> all{
        {"sleep", [](Waits& waits) { return waits.sleep(); }},
        {"sleep_until", [](Waits& waits) { return waits.sleep_until(); }},
        {"receive", [](Waits& waits) { return waits.receive(); }},
        {"send", [](Waits& waits) { return waits.send(); }},
        {"acquire", [](Waits& waits) { return waits.acquire(); }},
        {"notification", [](Waits& waits) { return waits.notification(); }},
        {"join", [](Waits& waits) { return waits.join(); }},
        {"a task in a task", [](Waits& waits) { return waits.nested(); }},
        {"with_timeout", [](Waits& waits) { return waits.with_timeout(); }},
        {"try_with_timeout", [](Waits& waits) { return waits.try_with_timeout(); }},
        {"when_all", [](Waits& waits) { return waits.when_all(); }},
        {"when_any", [](Waits& waits) { return waits.when_any(); }},
        {"ready", [](Waits& waits) { return waits.ready(); }},
        {"signal", [](Waits& waits) { return waits.signal(); }},
        {"exited", [](Waits& waits) { return waits.exited(); }},
        {"blocking", [](Waits& waits) { return waits.blocking(); }},
    };
    return all;
  }

  // Lets the function that blocks() return.
  void open() {
    if (opened_) return;
    opened_ = true;
    gate_.set_value();
  }

 private:
  static co::Task<> sleep() { co_await co::sleep(1000h); }
  static co::Task<> sleep_until() {
    Base& base = co_await co::base();
    co_await co::sleep_until(base.now() + 1000h);
  }
  co::Task<> receive() { co_await empty_.receive(); }
  co::Task<> send() { co_await full_.send(1); }
  co::Task<> acquire() { co_await none_.acquire(); }
  co::Task<> notification() { co_await never_.wait(); }
  co::Task<> join() { co_await busy_.join(); }
  co::Task<> nested() { co_await acquire(); }
  co::Task<> with_timeout() { co_await co::with_timeout(1000h, acquire()); }
  co::Task<> try_with_timeout() { co_await co::try_with_timeout(1000h, acquire()); }
  co::Task<> when_all() { co_await co::when_all(sleep(), acquire()); }
  co::Task<> when_any() { co_await co::when_any(sleep(), acquire()); }
  co::Task<> ready() { co_await co::ready(silent_.reader.get(), Events::read); }
  static co::Task<> signal() { co_await co::signal(SIGUSR1); }
  co::Task<> exited() { co_await co::exited(child_.pid()); }
  co::Task<> blocking() {
    const std::shared_future<void> gate = opens_;
    auto waits_at_gate = [gate] { gate.wait(); };  // g++ 12 destroys it twice if it is a temporary
    co_await co::blocking(std::move(waits_at_gate));
  }

  co::TaskGroup busy_;
  co::Channel<int> empty_{1};
  co::Channel<int> full_{0};
  co::Semaphore none_{0};
  co::Notification never_;
  const Pipe silent_ = make_pipe();
  const Process child_;
  std::promise<void> gate_;
  const std::shared_future<void> opens_ = gate_.get_future().share();
  bool opened_ = false;
};

}  // namespace event_cpp::test
