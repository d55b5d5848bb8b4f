// Workers that fail, and a supervisor that starts each of them again, after a delay that doubles
// each time, until it has failed too often. One failure leaves the other workers alone. Worker n
// fails n - 1 times before it ends well. Exit status 1 if a worker was given up.
//
// Try it:   supervised_workers --workers 4 --backoff 100ms --max-restarts 2

#include <chrono>
#include <cstddef>
#include <event/co.hpp>
#include <event/event.hpp>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>

#include "support/command_line.hpp"

namespace {

namespace co = event::co;
using namespace std::chrono_literals;

struct Settings {
  std::size_t workers = 3;
  std::size_t max_restarts = 5;  // of one worker
  std::chrono::milliseconds backoff{100};
};

// A group tells its supervisor what was thrown. What the supervisor has to know is in there.
struct WorkerFailed : std::runtime_error {
  WorkerFailed(std::size_t which, std::size_t failures)
      : std::runtime_error("worker " + std::to_string(which)), worker(which), restarts(failures) {}

  std::size_t worker;
  std::size_t restarts;  // before this failure
};

co::Task<> work(std::size_t worker, std::size_t restarts) {
  co_await co::sleep(1ms);
  if (restarts + 1 < worker) throw WorkerFailed(worker, restarts);
  std::cout << "worker " << worker << " ends well" << std::endl;
}

co::Task<> work_after(event::Duration delay, std::size_t worker, std::size_t restarts) {
  co_await co::sleep(delay);
  co_await work(worker, restarts);
}

class Supervisor {
 public:
  Supervisor(event::Base& base, const Settings& settings)
      : settings_(settings),
        workers_(
            base, [this](const std::exception_ptr& failure) { on_failure(failure); }, "workers") {}

  // Returns whether all workers have ended well.
  co::Task<bool> run() {
    for (std::size_t worker = 1; worker <= settings_.workers; ++worker) {
      workers_.spawn(work(worker, 0));
    }
    co_await workers_.join();
    co_return !given_up_;
  }

 private:
  void on_failure(const std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const WorkerFailed& failed) {  // anything else leaves dispatch()
      std::cout << failed.what() << " failed; ";
      if (failed.restarts == settings_.max_restarts) {
        given_up_ = true;
        std::cout << "given up" << std::endl;
        return;
      }
      const auto delay = settings_.backoff * (1 << failed.restarts);
      std::cout << "again in " << delay.count() << " ms" << std::endl;
      workers_.spawn(work_after(delay, failed.worker, failed.restarts + 1));
    }
  }

  const Settings& settings_;
  bool given_up_ = false;
  co::TaskGroup workers_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Starts workers, and starts those again that fail.");
    Settings settings;
    command_line.add_number("--workers", settings.workers, "Start so many", 1, 1'000);
    command_line.add_number("--max-restarts", settings.max_restarts,
                            "Give a worker up after so many", 0, 20);
    command_line.add_time("--backoff", settings.backoff, "Wait so long before the first restart");
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    event::Base base;
    Supervisor supervisor(base, settings);
    return co::run(base, supervisor.run()) ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "supervised_workers: " << error.what() << std::endl;
    return 1;
  }
}
