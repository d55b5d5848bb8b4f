// A timer fires once, a ticker again and again. Nothing has to end the loop: dispatch() returns
// when nothing is attached any more.
//
// Try it:   timer          it ends by itself after a second

#include <chrono>
#include <event/event.hpp>
#include <iostream>

int main() {
  using namespace std::chrono_literals;

  event::Base base;
  const event::TimePoint start = base.now();
  const auto say = [&](const char* what) {
    const auto elapsed = std::chrono::floor<std::chrono::milliseconds>(base.now() - start);
    std::cout << elapsed.count() << " ms: " << what << std::endl;
  };

  event::Timer timer(base, [&] { say("timer"); });
  timer.attach(500ms);

  int ticks = 0;
  event::Ticker ticker(base, [&](event::Event& self, event::Events) {
    say("tick");
    if (++ticks == 5) self.detach();
  });
  ticker.attach(200ms);

  base.dispatch();
}
