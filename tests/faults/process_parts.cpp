// The process act: children of each way to start one, to their end.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "event/co.hpp"
#include "net/spawn.hpp"
#include "net/unreaped.hpp"
#include "parts.hpp"

namespace event_cpp::faults {
namespace {

using namespace std::chrono_literals;
using co::Task;
using net::Command;
using net::Exit;
using net::Outcome;
using net::Process;
using net::Stdio;

// More than a pipe holds.
constexpr std::size_t kMuchInput = 200'000;

Command sleeper() { return Command("/bin/sleep", {"1000"}); }

Task<std::string> read_all(net::Stream& from) {
  std::string all;
  for (;;) {
    const net::Chunk chunk = co_await from.receive();
    if (!chunk) break;
    all += chunk.text();
  }
  co_return all;
}

Task<> write_all(net::Stream& to, std::string bytes) {
  co_await to.write(bytes);
  co_await to.shutdown();
}

// Pipes as streams, and the end seen.

Task<> talk_to(Process& process) {
  const std::string text = "what goes in\n";
  const auto [written, read] =
      co_await co::when_all(write_all(process.in(), text), read_all(process.out()));
  const Exit exit = co_await process.wait();
  if (read != text || !exit.success()) throw Cut{"what cat has read"};
}

Task<> use_pipes(World& world) {
  Command cat("cat");
  cat.in = cat.out = Stdio::pipe();
  cat.group = Command::Group::own;
  Process process(world.base, cat);
  co_await talk_to(process);
}

// The whole of what it writes, however much; and its status.

Task<> use_run(World& /*world*/) {
  net::RunOptions options;
  options.input = std::string(kMuchInput, 'x');
  const Outcome outcome =
      co_await net::run(Command::shell("cat; echo failed >&2; exit 3"), options);
  if (outcome.exited.code != 3) throw Cut{"the status of a program"};
  if (outcome.out != options.input || outcome.err != "failed\n") throw Cut{"what a program writes"};
  if (outcome.truncated || outcome.abandoned || outcome.timed_out) throw Cut{"an end in order"};
}

// Signals, and a limit.

Task<> use_signals(World& world) {
  {
    Process process(world.base, sleeper());
    if (!process.kill(SIGTERM)) throw Cut{"somebody to kill"};
    const Exit exit = co_await process.wait();
    if (exit.signal != SIGTERM) throw Cut{"an end by a signal"};
    if (process.kill(SIGTERM)) throw Cut{"nobody to kill"};
  }
  Command command = sleeper();
  command.group = Command::Group::own;
  Process process(world.base, command);
  const Exit exit = co_await process.stop(10s);
  if (exit.signal != SIGTERM) throw Cut{"an end by stop()"};
}

Task<> use_limit(World& /*world*/) {
  net::RunOptions options;
  options.limit = 5ms;
  const Outcome outcome = co_await net::run(sleeper(), options);
  if (!outcome.timed_out || outcome.exited.signal != SIGKILL) throw Cut{"an end at the limit"};
  options.grace = 10s;
  const Outcome gently = co_await net::run(sleeper(), options);
  if (!gently.timed_out || gently.exited.signal != SIGTERM) throw Cut{"an end by SIGTERM"};
}

// The end is waited for by a function; and by nobody, when a Process is destroyed.

bool is_child(pid_t process) noexcept {
  const Exempt exempt;
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(process), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

Task<> use_on_exit(World& world) {
  co::Notification changed;
  Exit exit;
  Process process(world.base, Command("true"));
  process.on_exit([&](Exit its_exit) {
    exit = its_exit;
    changed.notify_all();
  });
  pid_t killed = -1;
  {
    const Process left(world.base, sleeper());
    killed = left.pid();
  }
  while (!exit.known) co_await changed.wait();
  while (is_child(killed)) co_await co::sleep(1ms);
  if (!exit.success()) throw Cut{"the status of true"};
}

// What is not there.

void start_nothing(Base& base, const Command& command, int error, net::SpawnError::Step step) {
  try {
    const Process process(base, command);
  } catch (const net::SpawnError& spawn_error) {
    if (spawn_error.code().value() == error && spawn_error.step() == step) return;
    throw;
  }
  throw Cut{"an error of a program that does not exist"};
}

Task<> use_nothing(World& world) {
  using Step = net::SpawnError::Step;
  start_nothing(world.base, Command("/nowhere/program"), ENOENT, Step::exec);
  start_nothing(world.base, Command("event-no-such-program"), ENOENT, Step::exec);
  Command nowhere("true");
  nowhere.directory = "/nowhere";
  start_nothing(world.base, nowhere, ENOENT, Step::directory);
  co_return;
}

// All that a command can ask for. The user is the one who runs this.

Command demanding(const Path& output) {
  Command command = Command::shell("cat <&5; pwd; umask; ulimit -n; cat; echo err >&2");
  command.directory = "/tmp";
  command.umask = 027;
  command.limits[RLIMIT_NOFILE] = rlimit{64, 64};
  command.group = Command::Group::session;
  command.in = Stdio::null();
  command.out = Stdio::file(output.text());
  command.err = Stdio::out();
  command.gid = ::getgid();
  command.uid = ::getuid();
  return command;
}

// Closes what was opened while nothing failed.
class Closed {
 public:
  explicit Closed(int fd) noexcept : fd_(fd) {}
  ~Closed() {
    const Exempt exempt;
    ::close(fd_);
  }
  Closed(const Closed&) = delete;
  Closed& operator=(const Closed&) = delete;
  int get() const noexcept { return fd_; }

 private:
  const int fd_;
};

Task<> meet_demands(Base& base, const Path& output, Command command) {
  const Path input("input");
  input.write("five\n");
  const Closed file(input.open());
  command.descriptors[5] = file.get();
  Process process(base, command);
  const Exit exit = co_await process.wait();
  if (!exit.success()) throw Cut{"a program that gets all it asks for"};
  if (output.read() != "five\n/tmp\n0027\n64\nerr\n") throw Cut{"all that a command asks for"};
}

Task<> use_demands(World& world) {
  const Path output("output");
  Command command = demanding(output);
  command.parent_death_signal = SIGKILL;
  co_await meet_demands(world.base, output, std::move(command));
}

// A terminal.

Task<> use_terminal(World& world) {
  Command command = Command::shell("read line; stty size; echo \"$line\" | tr a-z A-Z");
  command.terminal = net::WindowSize{10, 20};
  Process process(world.base, command);
  process.resize(net::WindowSize{30, 40});
  co_await process.terminal().write("line\n");
  const std::string text = co_await read_all(process.terminal());
  const Exit exit = co_await process.wait();
  if (!exit.success() || text.find("30 40\r\nLINE\r\n") == std::string::npos) {
    throw Cut{"what is at a terminal"};
  }
}

// As where there is no clone(2): by posix_spawn(3), and by fork(2).

class ByPosix {
 public:
  ByPosix() noexcept { net::detail::spawner = &net::detail::spawn_by_posix; }
  ~ByPosix() { net::detail::spawner = before_; }
  ByPosix(const ByPosix&) = delete;
  ByPosix& operator=(const ByPosix&) = delete;

 private:
  const net::detail::Spawner before_ = net::detail::spawner;
};

Process start_by_posix(Base& base, const Command& command) {
  const ByPosix by_posix;
  return Process(base, command);
}

Task<> use_posix_spawn(World& world) {
  Command cat("cat");
  cat.in = cat.out = Stdio::pipe();
  cat.err = Stdio::null();
  Process process = start_by_posix(world.base, cat);
  co_await talk_to(process);
  Process killed = start_by_posix(world.base, sleeper());
  if (!killed.kill(SIGTERM)) throw Cut{"somebody to kill by its ID"};
  const Exit exit = co_await killed.wait();
  if (exit.signal != SIGTERM) throw Cut{"an end by a signal to an ID"};
}

Task<> use_fork(World& world) {
  Command cat = Command::shell("cat");
  cat.in = cat.out = Stdio::pipe();
  cat.umask = 027;
  cat.directory = "/tmp";
  cat.limits[RLIMIT_NOFILE] = rlimit{64, 64};
  cat.uid = ::getuid();
  cat.gid = ::getgid();
  Process process = start_by_posix(world.base, cat);
  co_await talk_to(process);
}

Task<> wait_for_no_output(Journal& journal) {
  Base& base = co_await co::base();
  Command cat("cat");
  cat.in = cat.out = Stdio::pipe();
  Process process(base, cat);
  net::Buffered io(process.out());
  co_await io.read_line();
  journal.miss("what waits to be dropped");
}

constexpr Part kProcessParts[] = {{"pipes", use_pipes},
                                  {"run", use_run},
                                  {"signals", use_signals},
                                  {"a limit", use_limit},
                                  {"on_exit", use_on_exit},
                                  {"nothing", use_nothing},
                                  {"demands", use_demands},
                                  {"a terminal", use_terminal},
                                  {"posix_spawn", use_posix_spawn},
                                  {"fork", use_fork}};

// Whether this process has no child, not even one that has ended.
bool is_alone() noexcept {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
}

}  // namespace

const Act& process_act() noexcept {
  static constexpr Act kAct{kProcessParts, wait_for_no_output};
  return kAct;
}

void expect_no_children(Journal& journal) {
  const Exempt exempt;
  bool alone = is_alone();
  for (int i = 0; i < 5000 && !alone; ++i) {
    std::this_thread::sleep_for(1ms);
    net::detail::Unreaped::look();  // as the next start does
    alone = is_alone();
  }
  journal.expect(alone, "every child to end and to be reaped");
}

}  // namespace event_cpp::faults
