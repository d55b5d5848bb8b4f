// A base inside another one, as when a library brings a base of its own. The outer base waits for
// the inner one's descriptor, and for its next timeout, and then lets it run whatever is due. Both
// have a ticker, and both get functions from another thread.
//
// Try it:   nested          it ends by itself

#include <chrono>
#include <event/event.hpp>
#include <exception>
#include <functional>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

namespace {

using namespace std::chrono_literals;

constexpr int kTicks = 5;
constexpr int kPosts = 3;

// Runs `inner` whenever something in it is due, from within `outer`.
class Nested {
 public:
  // Errors: throws std::runtime_error if the inner base has no descriptor.
  Nested(event::Base& outer, event::Base& inner)
      : inner_(inner),
        ready_(outer, descriptor_of(inner), event::Events::read | event::Events::persist,
               [this] { run(); }),
        due_(outer, [this] { run(); }),
        before_wait_(outer, event::Hook::When::before_wait, [this] { prepare(); }) {
    ready_.attach();
  }

  // The outer base does not wait for the inner one any more.
  void detach() {
    ready_.detach();
    due_.detach();
  }

 private:
  static int descriptor_of(event::Base& base) {
    if (base.fd() >= 0) return base.fd();
    throw std::runtime_error("this backend has no descriptor to wait for; it needs epoll");
  }

  void run() { inner_.loop(event::RunMode::nonblock); }

  // Any callback of either base may have changed when the inner one is next due, so it is asked
  // anew each time before the outer one sleeps.
  void prepare() {
    due_.detach();
    if (!ready_.attached()) return;
    if (const std::optional<event::Duration> left = inner_.next_timeout()) due_.attach(*left);
  }

  event::Base& inner_;
  event::Event ready_;
  event::Timer due_;
  event::Hook before_wait_;
};

// What a base has to do: some ticks, and some functions that another thread posts.
class Work {
 public:
  Work(event::Base& base, std::function<void()> on_done)
      : on_done_(std::move(on_done)), ticker_(base, [this](event::Event& self, event::Events) {
          if (++ticks_ == kTicks) self.detach();
          look();
        }) {
    ticker_.attach(20ms);
  }

  void on_post() {
    ++posts_;
    look();
  }

  void print(const char* name) const {
    std::cout << name << ": " << ticks_ << " ticks, " << posts_ << " posted functions" << std::endl;
  }

 private:
  void look() {
    if (ticks_ == kTicks && posts_ == kPosts) on_done_();
  }

  std::function<void()> on_done_;
  int ticks_ = 0;
  int posts_ = 0;
  event::Ticker ticker_;
};

void run() {
  event::Base outer;
  event::Base inner;
  Nested nested(outer, inner);
  Work outer_work(outer, [] {});
  // Until then the outer base must go on, even if it has done its own work.
  Work inner_work(inner, [&nested] { nested.detach(); });

  // Joined before the bases go. The inner base gets each post after the outer one: when it has had
  // the last, all are there.
  const std::jthread thread([&] {
    for (int i = 0; i < kPosts; ++i) {
      std::this_thread::sleep_for(15ms);  // so that a base that sleeps is woken
      outer.post([&outer_work] { outer_work.on_post(); });
      inner.post([&inner_work] { inner_work.on_post(); });
    }
  });
  outer.dispatch();

  outer_work.print("outer");
  inner_work.print("inner");
}

}  // namespace

int main() {
  try {
    run();
  } catch (const std::exception& error) {
    std::cerr << "nested: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
