// Keeps a command running. If it fails it is started again, after a delay that doubles each time
// and is back at its beginning once the command has run for a while. SIGTERM and SIGINT are passed
// on to the command, which is not started again then. Ends with the command: exit status 0, or 1 if
// it was given up.
//
// Try it:   supervisor -- sh -c 'echo hello; sleep 2; exit 1'          and press Ctrl-C
//           supervisor --count 3 --max-restarts 2 --backoff 500ms -- false

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <deque>
#include <event/event.hpp>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "support/command_line.hpp"

namespace {

struct Settings {
  std::vector<std::string> command;
  std::size_t max_restarts = 10;
  event::Duration backoff{};
  event::Duration max_backoff{};
  event::Duration stable{};  // how long it must run for its failures to be forgotten
};

// How a child process begins.
class SpawnAttributes {
 public:
  // Handlers end with an exec, but a mask of blocked signals outlives it, and the command might not
  // hear of what is passed on to it. In a process group of its own it does not get the terminal's
  // Ctrl-C as well, and what it starts itself is signalled with it.
  SpawnAttributes() {
    sigset_t none;
    ::sigemptyset(&none);
    check(::posix_spawnattr_init(&attributes_));
    check(::posix_spawnattr_setsigmask(&attributes_, &none));
    check(::posix_spawnattr_setpgroup(&attributes_, 0));
    check(::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP));
  }
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;

  const posix_spawnattr_t* get() const noexcept { return &attributes_; }

 private:
  static void check(int error) {
    if (error != 0) throw std::system_error(error, std::system_category(), "posix_spawnattr");
  }

  posix_spawnattr_t attributes_{};
};

// Starts a command, looked up in PATH; the process is the leader of its group.
std::error_code spawn(const std::vector<std::string>& command, pid_t& pid) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));  // posix_spawn() does not write there
  }
  arguments.push_back(nullptr);
  const SpawnAttributes attributes;
  const int error =
      ::posix_spawnp(&pid, arguments[0], nullptr, attributes.get(), arguments.data(), environ);
  return {error, std::system_category()};
}

std::string describe(int status) {
  if (WIFEXITED(status)) return "exited with status " + std::to_string(WEXITSTATUS(status));
  if (WIFSIGNALED(status)) return "killed by signal " + std::to_string(WTERMSIG(status));
  return "ended in an unknown way";
}

// One of the commands: it is running, or waits to be started again, or is done.
class Instance {
 public:
  Instance(event::Base& base, const Settings& settings, std::size_t number)
      : base_(base),
        settings_(settings),
        number_(number),
        backoff_(settings.backoff),
        restart_(base, [this] { start(); }) {}

  bool given_up() const noexcept { return given_up_; }

  void start() {
    started_ = base_.now();
    pid_t pid = -1;
    if (const std::error_code error = spawn(settings_.command, pid)) {
      return fail("cannot be started: " + error.message());
    }
    say("started, process " + std::to_string(pid));
    // A Child is for one process, and is not moved: the next process gets a new one.
    child_.emplace(base_, pid, [this](int status) { on_end(status); });
    child_->attach();
  }

  void pass_on(int signo) {
    stopping_ = true;
    restart_.detach();
    // Not reaped yet, so the number cannot be another process's. If it fails the child has ended,
    // and its callback is about to run.
    if (child_ && child_->attached()) (void)::kill(-child_->pid(), signo);
  }

 private:
  void on_end(int status) {
    const bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (well || stopping_) return say(describe(status));
    fail(describe(status));
  }

  void fail(const std::string& how) {
    if (base_.now() - started_ >= settings_.stable) {
      restarts_ = 0;
      backoff_ = settings_.backoff;
    }
    if (restarts_ == settings_.max_restarts) {
      given_up_ = true;
      return say(how + "; given up");
    }
    ++restarts_;
    const auto delay = std::chrono::floor<std::chrono::milliseconds>(backoff_);
    say(how + "; again in " + std::to_string(delay.count()) + " ms");
    restart_.attach(backoff_);
    backoff_ = std::min(2 * backoff_, settings_.max_backoff);
  }

  void say(std::string_view what) const {
    std::cout << "command " << number_ << ": " << what << std::endl;
  }

  event::Base& base_;
  const Settings& settings_;
  std::size_t number_;
  std::size_t restarts_ = 0;  // since it last ran for a while
  bool stopping_ = false;
  bool given_up_ = false;
  event::Duration backoff_;  // before the next restart
  event::TimePoint started_;
  std::optional<event::Child> child_;
  event::Timer restart_;
};

// Returns the program's exit status.
int run(const Settings& settings, std::size_t count) {
  event::Base base;
  std::deque<Instance> instances;

  const auto pass_on = [&](event::Event& signal, event::Events) {
    for (Instance& instance : instances) instance.pass_on(signal.fd());
  };
  event::Signal interrupt(base, SIGINT, pass_on);
  event::Signal terminate(base, SIGTERM, pass_on);
  for (event::Signal* signal : {&interrupt, &terminate}) {
    // Children and timers keep the loop running; when there are none, all is done.
    signal->keep_alive(false);
    signal->attach();
  }

  for (std::size_t i = 1; i <= count; ++i) instances.emplace_back(base, settings, i).start();
  base.dispatch();
  return std::ranges::any_of(instances, &Instance::given_up) ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    support::CommandLine command_line("Starts a command, and starts it again if it fails.");
    Settings settings;
    std::size_t count = 1;
    std::chrono::milliseconds backoff{100};
    std::chrono::milliseconds max_backoff{10'000};
    std::chrono::milliseconds stable{10'000};
    command_line.add_command(settings.command, "What to run, after --");
    command_line.add_number("--count", count, "Run it so many times at once", 1, 1000);
    command_line.add_number("--max-restarts", settings.max_restarts,
                            "Give up after so many in a row");
    command_line.add_time("--backoff", backoff, "Wait so long before the first restart");
    command_line.add_time("--max-backoff", max_backoff, "Wait at most so long");
    command_line.add_time("--stable", stable, "Forget failures when it has run so long");
    if (const auto exit_code = command_line.parse(argc, argv)) return *exit_code;
    settings.backoff = backoff;
    settings.max_backoff = max_backoff;
    settings.stable = stable;

    return run(settings, count);
  } catch (const std::exception& error) {
    std::cerr << "supervisor: " << error.what() << std::endl;
    return 1;
  }
}
