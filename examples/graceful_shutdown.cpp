// A graceful stop in coroutines. The first SIGINT or SIGTERM ends the task that accepts jobs; those
// that run have a grace period to finish: exit status 0. When it is over, or at a second signal,
// they are cancelled: exit status 1.
//
// Try it:   graceful_shutdown --job 3s --grace 10s        and press Ctrl-C, once or twice

#include <chrono>
#include <csignal>
#include <event/co.hpp>
#include <event/event.hpp>
#include <exception>
#include <iostream>

#include "support/command_line.hpp"

namespace {

namespace co = event::co;

struct Settings {
  std::chrono::milliseconds every{500};
  std::chrono::milliseconds job{2'000};
  std::chrono::milliseconds grace{10'000};
};

co::Task<> do_job(int number, event::Duration time) {
  std::cout << "job " << number << " starts" << std::endl;
  co_await co::sleep(time);
  std::cout << "job " << number << " is done" << std::endl;
}

// Never ends by itself.
co::Task<> accept_jobs(co::TaskGroup& jobs, const Settings& settings) {
  for (int number = 1;; ++number) {
    jobs.spawn(do_job(number, settings.job));
    co_await co::sleep(settings.every);
  }
}

co::Task<> stop_signal() { co_await co::when_any(co::signal(SIGINT), co::signal(SIGTERM)); }

// If it is cancelled so are the jobs, and it ends when they have ended.
co::Task<> finish(co::TaskGroup& jobs) { co_await jobs.join(); }

// Returns whether all jobs that were started are done.
co::Task<bool> serve(const Settings& settings) {
  event::Base& base = co_await co::base();
  co::TaskGroup jobs(base, "jobs");
  co_await co::when_any(stop_signal(), accept_jobs(jobs, settings));

  std::cout << "stopping, jobs left: " << jobs.size() << std::endl;
  const auto end =
      co_await co::try_with_timeout(settings.grace, co::when_any(finish(jobs), stop_signal()));
  if (end && end->first == 0) {
    std::cout << "all jobs are done" << std::endl;
    co_return true;
  }
  std::cout << (end ? "second signal" : "grace period is over") << ", jobs are cancelled"
            << std::endl;
  co_return false;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Accepts jobs until a signal comes.");
    Settings settings;
    command_line.add_time("--every", settings.every, "Start a job so often", 1);
    command_line.add_time("--job", settings.job, "A job takes so long");
    command_line.add_time("--grace", settings.grace, "Jobs have so long to finish");
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    event::Base base;
    return co::run(base, serve(settings)) ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "graceful_shutdown: " << error.what() << std::endl;
    return 1;
  }
}
