// Ticks until a deadline. The ticker knows nothing of it: with_timeout() cancels it where it waits.
//
// Try it:   ticker_deadline --every 200ms --deadline 1s

#include <chrono>
#include <event/co.hpp>
#include <event/event.hpp>
#include <exception>
#include <iostream>

#include "support/command_line.hpp"

namespace {

namespace co = event::co;

// Never ends by itself. It waits for points in time, so that no delay adds up.
co::Task<> tick(event::Duration every, int& ticks) {
  const event::Base& base = co_await co::base();
  for (event::TimePoint next = base.now() + every;; next += every) {
    co_await co::sleep_until(next);
    std::cout << "tick " << ++ticks << std::endl;
  }
}

co::Task<> tick_until(event::Duration deadline, event::Duration every) {
  int ticks = 0;
  co_await co::try_with_timeout(deadline, tick(every, ticks));
  std::cout << "deadline after " << ticks << " ticks" << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Ticks until a deadline.");
    std::chrono::milliseconds every{200};
    std::chrono::milliseconds deadline{1'000};
    command_line.add_time("--every", every, "Tick so often", 1);
    command_line.add_time("--deadline", deadline, "End after so long");
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    event::Base base;
    co::run(base, tick_until(deadline, every));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "ticker_deadline: " << error.what() << std::endl;
    return 1;
  }
}
