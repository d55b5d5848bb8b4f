// An alarm at each full minute of the wall clock, or of another period. The next one is computed
// from the clock as it is when the last one fires. So when the clock is set forward, over one
// minute or many, it fires once, at once, and goes on with the next full minute; when it is set
// back, the alarm waits until it is that time again.
//
// Try it:   cron                        Ctrl-C ends it
//           cron --every 5s --count 3

#include <chrono>
#include <cstddef>
#include <ctime>
#include <event/event.hpp>
#include <exception>
#include <iomanip>
#include <iostream>

#include "support/command_line.hpp"

namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

// Counted from the epoch: the full minutes of the clock on the wall, but full days are those of
// UTC.
system_clock::time_point next_full(milliseconds period) {
  const auto now = std::chrono::floor<milliseconds>(system_clock::now().time_since_epoch());
  return system_clock::time_point(now - now % period + period);
}

void print(system_clock::time_point due) {
  const auto late = std::chrono::floor<milliseconds>(system_clock::now() - due);
  const auto thousandths = std::chrono::floor<milliseconds>(due.time_since_epoch()) % 1000;
  const std::time_t seconds = system_clock::to_time_t(due);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  std::cout << std::put_time(&local, "%Y-%m-%d %H:%M:%S") << '.' << std::setfill('0')
            << std::setw(3) << thousandths.count() << ", " << late.count() << " ms late"
            << std::endl;
}

void run(milliseconds period, std::size_t count) {
  event::Base base;
  std::size_t fired = 0;
  system_clock::time_point due = next_full(period);
  event::Alarm alarm(base, [&](event::Alarm& self) {
    print(due);
    if (++fired == count) return;
    due = next_full(period);
    self.attach(due);
  });
  alarm.attach(due);
  base.dispatch();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Says when a full minute begins.");
    milliseconds period{60'000};
    std::size_t count = 0;
    command_line.add_time("--every", period, "Another period, as 500ms, 10s or 5m", 1);
    command_line.add_number("--count", count, "End after so many; 0: never");
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    run(period, count);
  } catch (const std::exception& error) {
    std::cerr << "cron: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
