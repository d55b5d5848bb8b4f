// Uses something of everything that the library gives: what is inline, what is a template, and what
// is compiled into it. Exit status 0 if it works.
#include <unistd.h>

#include <cstdio>
#include <event/event.hpp>
#include <system_error>

int main() {
  using event::Events;
  using namespace std::chrono_literals;

  event::ManualTime time;
  event::Base base({.time = &time});

  int ends[2];
  if (pipe(ends) != 0 || write(ends[1], "x", 1) != 1) return 1;

  int reads = 0;
  event::Event readable(base, ends[0], Events::read, [&reads](Events fired) {
    if (fired == Events::read) ++reads;
  });
  readable.attach();

  int ticks = 0;
  event::Ticker ticker(base, [&ticks](event::Event& self, Events) {
    if (++ticks == 3) self.detach();
  });
  ticker.attach(1s, 2s);

  bool posted = false;
  bool later = false;
  base.post([&posted] { posted = true; });
  base.after(1h, [&later] { later = true; });

  bool refused = false;
  try {
    readable.attach();
  } catch (const std::system_error& error) {
    refused = error.code() == event::Errc::already_attached;
  }

  base.dispatch();
  close(ends[0]);
  close(ends[1]);

  const bool works = reads == 1 && ticks == 3 && posted && later && refused;
  std::printf("%s\n", works ? "works" : "does not work");
  return works ? 0 : 1;
}
