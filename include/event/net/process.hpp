// Process: a child process; run(): one from its start to its end.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "event/base.hpp"
#include "event/co/task.hpp"
#include "event/net/command.hpp"
#include "event/net/pipe_stream.hpp"
#include "event/time.hpp"

namespace event_cpp::net {

// Why a child could not be started: code() is the system's, such as ENOENT; step() is what failed,
// and path() the file, directory or program that it was about; empty if it was about none.
class EVENT_API SpawnError : public std::system_error {
 public:
  enum class Step : std::uint8_t {
    base,         // Errc::unsupported: this base is simulated, and has no processes
    open,         // a file for a standard stream
    pipe,         // no descriptor for one
    terminal,     // no pseudo-terminal, or it cannot control the session
    start,        // the system has no room for another process
    group,        // process group or session
    descriptors,  // one that was to be given to the child is not open
    limits,       // resource limits
    user,         // groups, gid or uid
    directory,    // the working directory
    signals,      // parent_death_signal
    exec,         // the program
    watch,        // the base cannot wait for it; it was killed
  };

  SpawnError(Step step, std::error_code code, std::string path, const std::string& what)
      : std::system_error(code, what), step_(step), path_(std::move(path)) {}

  Step step() const noexcept { return step_; }
  const std::string& path() const noexcept { return path_; }

 private:
  Step step_;
  std::string path_;
};

// How a process has ended.
struct EVENT_API Exit {
  bool known = false;        // false: other code has reaped it, and the kernel does not tell
  int code = -1;             // of exit(3); -1 if a signal has ended it
  int signal = 0;            // that has ended it; 0: none
  bool dumped_core = false;  // see core(5)

  bool success() const noexcept { return known && signal == 0 && code == 0; }
  // As waitpid(2) gives it. -1: not known.
  static Exit of(int status) noexcept;
  // Such as "exited with 1", "killed by signal 9".
  std::string text() const;
};

// A child process, which this starts and owns, while event::Child waits for one that the program
// has started itself. Destroying it kills the child with SIGKILL, with all of its process group if
// it has one of its own, and the base reaps it. No zombie is left, nothing waits.
// Once the child has ended nothing is killed: what is left of its group lives on, see kill_group().
// See detach(). While the child runs, or one of its pipes is open here, the base does not leave
// dispatch().
//
//   net::Command sort("sort");
//   sort.in = sort.out = net::Stdio::pipe();
//   net::Process process(base, sort);
//   co_await process.in().write("b\na\n");
//   co_await process.in().shutdown();
//   std::array<char, 100> room;
//   const std::size_t size = co_await process.out().read_some(room);
//   const net::Exit exit = co_await process.wait();
//
// A child that writes more than a pipe holds waits until it is read: read out() and err() at once,
// or let err be inherited. run() does it. The child may have ended before all it wrote was read.
//
// Thread-safety: belongs to the thread that runs its base; processes of several bases may be
// started at once. Lifetime: process and base may be destroyed in either order; it may be moved.
// Memory: some 500 bytes, and 80 for each pipe.
class EVENT_API Process {
 public:
  // Starts it. The program was found and runs when this returns.
  // Errors: throws SpawnError; std::bad_alloc. Nothing is left then.
  // Cost: on Linux about that of posix_spawn(3), whatever memory this process has; elsewhere the
  // same, or that of fork(2) if posix_spawn cannot do what the command asks for. This thread waits
  // meanwhile. A program that another thread has just written, and not closed (ETXTBSY), is tried
  // four times, with 7 ms between the first and the last.
  Process(Base& base, const Command& command);
  Process(Process&&) noexcept;
  Process& operator=(Process&&) noexcept;
  ~Process();

  pid_t pid() const noexcept;
  Base& base() const noexcept;

  // Our ends of its pipes. in() is only for writing: its shutdown() closes it, and the child reads
  // the end. out() and err() are only for reading. Requires: the command has Stdio::pipe() there,
  // and no other descriptor under this number.
  PipeStream& in() noexcept;
  PipeStream& out() noexcept;
  PipeStream& err() noexcept;
  // Its terminal: what the child reads is written here, and the other way round. It ends when the
  // last process that has it open has ended. Closing it hangs up: SIGHUP. Requires:
  // Command::terminal.
  PipeStream& terminal() noexcept;
  // Tells the child as well: SIGWINCH. Errors: throws std::system_error. Requires: as terminal().
  void resize(WindowSize size);

  // Nothing while it runs.
  const std::optional<Exit>& exit() const noexcept;

  // Waits until it has ended. Any number of tasks may wait, also afterwards. Says nothing of its
  // output: see run(). Cancelling the wait leaves the child alone. With a limit:
  // co::with_timeout(5s, process.wait()). Errors: throws std::errc::operation_canceled if the task
  // is cancelled or the Process destroyed.
  co::Task<Exit> wait();

  // Calls f once when it has ended; in the next iteration if it has already. f may destroy this.
  // Replaces the function before. What it throws leaves dispatch().
  void on_exit(std::function<void(Exit)> f);

  // Sends it a signal. Returns false if it is known to have ended: another process that got its ID
  // is never hit. Errors: throws std::system_error: EINVAL, EPERM. See pidfd_send_signal(2).
  bool kill(int signo);
  // The same for all of its process group, also when the first of them has ended. Returns false if
  // none is left; or if the first has ended and the system has no way to signal what is left
  // without a chance of hitting others (Linux has since 6.9). Requires: Command::group is own or
  // session, or it has a terminal.
  bool kill_group(int signo);

  // Asks it to end: SIGTERM, and SIGCONT for one that was stopped; after `grace`, SIGKILL. Each to
  // its group if that is its own. What is left of the group when the child has ended is killed at
  // once. Waits until the child has ended, also if the task is cancelled meanwhile: cancellation is
  // met afterwards. Errors: as wait().
  co::Task<Exit> stop(Duration grace);

  // From now on it lives on when this is destroyed, and when this program ends. The base still
  // reaps it. Its pipes are closed with this.
  void detach() noexcept;

 private:
  struct State;
  struct Stop;
  std::unique_ptr<State> state_;
};

struct RunOptions {
  std::string input;  // what it reads from stdin, unless Command::in is set; then it is the end
  // Bytes kept of stdout and of stderr. What goes beyond is read and dropped.
  std::size_t most_out = std::size_t{16} << 20;
  std::size_t most_err = std::size_t{1} << 20;
  // When the limit has passed or the task is cancelled: SIGTERM first, and so much time to end. See
  // Process::stop(). Zero: it is killed at once.
  Duration grace{};
  // After its end: for so long a process that it has left behind may be silent, and still have what
  // it writes to the same pipes read.
  Duration linger = std::chrono::milliseconds(100);
  // It may run for so long. Then it is ended with its group, and what it has written until then is
  // returned, with Outcome::timed_out. Zero: no limit.
  Duration limit{};
};

// How a program has ended that run() ran, and what it has written. (adapters::Outcome: a value, or
// an error.)
struct Outcome {
  Exit exited;
  std::string out;
  std::string err;
  bool truncated = false;  // more was written than is here
  bool abandoned = false;  // somebody still had a pipe open when `linger` had passed
  bool timed_out = false;  // it was ended, as RunOptions::limit had passed
};

// Runs a program from its start to its end, on the base of the task that awaits it, and returns how
// it has ended and what it has written. stdout and stderr are captured unless the command says
// otherwise. It does not fail because the program does: see Exit::success().
//
// It has a process group of its own, unless the command says otherwise. If the task is cancelled or
// destroyed before the end, as by co::with_timeout(), the group is killed; when it is cancelled,
// after RunOptions::grace. A process that has left the group (setsid(2)) lives on. After the end of
// the program what it started in the background lives on as well. Errors: throws SpawnError;
// std::errc::operation_canceled; std::bad_alloc. That the program does not read its input is no
// error.
EVENT_API co::Task<Outcome> run(Command command, RunOptions options);
EVENT_API co::Task<Outcome> run(Command command);

}  // namespace event_cpp::net
