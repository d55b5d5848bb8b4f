// Runs commands at intervals, each for itself: "10s df -h" runs df every ten seconds. At most so
// many run at once; the others wait for their turn. A command that takes longer than its limit is
// stopped: SIGTERM to it and all that it has started, and SIGKILL as soon as it has ended, or five
// seconds later. So is every command at SIGTERM or Ctrl-C, and then the program ends. It is run by
// a shell, which SIGTERM ends at once: "10s exec program" gives the program its five seconds. Times
// that a command has missed because it still ran, or waited, are left out.
//
// Try it:   jobs "1s date" "3s ls /nowhere"          Ctrl-C ends it
//           jobs --at-once 1 --limit 2s --count 3 "1s sleep 1" "1s sleep 9"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <event/net.hpp>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/command_line.hpp"

namespace jobs {

namespace co = event::co;
namespace net = event::net;
using namespace std::chrono_literals;

struct Job {
  std::chrono::milliseconds every;
  std::string command;  // for the shell
};

struct Settings {
  std::size_t at_once = 4;
  std::size_t count = 0;  // of runs of each job; 0: no end
  std::chrono::milliseconds limit{60'000};
};

// "500ms command", "10s command", "5m command", "1h command".
Job parse(const std::string& text) {
  static const std::map<std::string, std::chrono::milliseconds> kUnits = {
      {"ms", 1ms}, {"s", 1s}, {"m", 1min}, {"h", 1h}};
  const std::size_t space = text.find(' ');
  const std::size_t unit = text.find_first_not_of("0123456789");
  if (unit != 0 && unit < space && space < text.size() - 1) {
    const auto found = kUnits.find(text.substr(unit, space - unit));
    const long count = unit < 10 ? std::stol(text) : 0;
    if (found != kUnits.end() && count > 0) return {count * found->second, text.substr(space + 1)};
  }
  throw std::invalid_argument("not a time and a command, such as \"10s date\": " + text);
}

// Each line of the output with the name of the command before it.
void print(const std::string& command, const std::string& output) {
  for (std::size_t begin = 0; begin < output.size();) {
    const std::size_t end = std::min(output.find('\n', begin), output.size());
    std::cout << '[' << command << "] " << output.substr(begin, end - begin) << '\n';
    begin = end + 1;
  }
  std::cout << std::flush;
}

co::Task<> run_command(const std::string& command, event::Duration limit) {
  net::Command shell = net::Command::shell(command);
  shell.err = net::Stdio::out();
  net::RunOptions options;
  options.grace = 5s;
  try {
    const auto outcome = co_await co::try_with_timeout(limit, net::run(shell, options));
    if (!outcome) {
      print(command, "stopped after its time limit");
      co_return;
    }
    print(command, outcome->out);
    if (!outcome->exited.success()) print(command, outcome->exited.text());
  } catch (const net::SpawnError& error) {
    print(command, error.what());  // the next time it may be better
  }
}

// When what runs, whatever running is.
class Scheduler {
 public:
  using Run = std::function<co::Task<>(const Job&)>;

  Scheduler(event::Base& base, const Settings& settings, Run run)
      : base_(base), settings_(settings), run_(std::move(run)), free_(settings.at_once) {}

  // Ends when each job has run as often as it should, or the task is cancelled.
  co::Task<> run(const std::vector<Job>& jobs) {
    co::TaskGroup group(base_, "jobs");
    for (const Job& job : jobs) group.spawn(repeat(job));
    co_await group.join();
  }

 private:
  co::Task<> repeat(const Job& job) {
    event::TimePoint due = base_.now();
    for (std::size_t done = 0; settings_.count == 0 || done < settings_.count; ++done) {
      co_await co::sleep_until(due);
      co_await free_.acquire();
      const co::SemaphoreGuard guard(free_);
      co_await run_(job);
      const event::Duration late = base_.now() - due;
      due += job.every * (late / job.every + 1);
    }
  }

  event::Base& base_;
  const Settings& settings_;
  Run run_;
  co::Semaphore free_;
};

co::Task<> stop_signal() { co_await co::when_any(co::signal(SIGINT), co::signal(SIGTERM)); }

co::Task<> run_until_stopped(Scheduler& scheduler, const std::vector<Job>& jobs) {
  co_await co::when_any(stop_signal(), scheduler.run(jobs));
}

}  // namespace jobs

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Runs commands at intervals.");
    jobs::Settings settings;
    std::vector<std::string> texts;
    command_line.add_number("--at-once", settings.at_once, "Run at most so many at once", 1, 1'000);
    command_line.add_number("--count", settings.count, "Run each so many times; 0: no end");
    command_line.add_time("--limit", settings.limit, "Stop a command after so long", 1);
    command_line.add_command(texts, "Each a time and a command, such as \"10s date\"");
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;

    std::vector<jobs::Job> all;
    for (const std::string& text : texts) all.push_back(jobs::parse(text));
    event::Base base;
    jobs::Scheduler scheduler(base, settings, [&settings](const jobs::Job& job) {
      return jobs::run_command(job.command, settings.limit);
    });
    jobs::co::run(base, jobs::run_until_stopped(scheduler, all));
  } catch (const std::exception& error) {
    std::cerr << "jobs: " << error.what() << std::endl;
    return 1;
  }
  return 0;
}
